// SPDX-License-Identifier: MIT OR Apache-2.0
/* An outer map of iproute2: the template by `inner_id`, the filled slot by `inner_idx`. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include "../../examples/iproute2-legacy/bpf_elf.h"

struct bpf_elf_map SEC("maps") outer = {
	.type = BPF_MAP_TYPE_ARRAY_OF_MAPS,
	.size_key = sizeof(__u32),
	.size_value = sizeof(__u32),
	.max_elem = 4,
	.inner_id = 42,
	.pinning = PIN_GLOBAL_NS,
};

struct bpf_elf_map SEC("maps") inner = {
	.type = BPF_MAP_TYPE_ARRAY,
	.size_key = sizeof(__u32),
	.size_value = sizeof(__u64),
	.max_elem = 1,
	.id = 42,
	.inner_idx = 3,
};

SEC("classifier")
int count(struct __sk_buff *skb)
{
	__u32 slot = 3, key = 0;
	void *map = bpf_map_lookup_elem(&outer, &slot);
	__u64 *n = map ? bpf_map_lookup_elem(map, &key) : 0;

	if (n)
		*n += 1;
	return -1;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
