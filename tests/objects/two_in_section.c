// SPDX-License-Identifier: MIT OR Apache-2.0
/* Two programs in one section, each with a map of its own. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} passed SEC(".maps"), dropped SEC(".maps");

static __always_inline void add(void *map)
{
	__u32 key = 0;
	__u64 *n = bpf_map_lookup_elem(map, &key);

	if (n)
		__sync_fetch_and_add(n, 1);
}

SEC("xdp")
int pass(struct xdp_md *ctx)
{
	add(&passed);
	return XDP_PASS;
}

SEC("xdp")
int drop(struct xdp_md *ctx)
{
	add(&dropped);
	return XDP_DROP;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
