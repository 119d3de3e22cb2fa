// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * iproute2's `struct bpf_elf_map` in its three lengths: WORDS is 6 (up to `id`), 7 (up to
 * `pinning`) or 9. The values differ in every word, so that a wrong layout cannot pass.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct bpf_elf_map {
	__u32 type;
	__u32 size_key;
	__u32 size_value;
	__u32 max_elem;
	__u32 flags;
	__u32 id;
#if WORDS >= 7
	__u32 pinning;
#endif
#if WORDS >= 9
	__u32 inner_id;
	__u32 inner_idx;
#endif
};

struct bpf_elf_map SEC("maps") flows = {
	.type = BPF_MAP_TYPE_HASH,
	.size_key = 6,
	.size_value = sizeof(__u64),
	.max_elem = 300,
	.flags = BPF_F_NO_PREALLOC,
	.id = 11,
#if WORDS >= 7
	.pinning = 2, /* global ns */
#endif
};

struct bpf_elf_map SEC("maps") counts = {
	.type = BPF_MAP_TYPE_ARRAY,
	.size_key = sizeof(__u32),
	.size_value = sizeof(__u64),
	.max_elem = 4,
	.id = 12,
#if WORDS >= 7
	.pinning = 1, /* object ns */
#endif
};

SEC("classifier")
int count(struct __sk_buff *skb)
{
	__u64 flow = skb->hash; /* of which the key is six bytes */
	__u32 key = 0;
	__u64 *n = bpf_map_lookup_elem(&counts, &key);

	if (n && bpf_map_lookup_elem(&flows, &flow))
		*n += 1;
	return -1;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
