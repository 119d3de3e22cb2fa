// SPDX-License-Identifier: MIT OR Apache-2.0
/* A weak map, and a program that is off unless it is asked for (`?`). */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} maybe SEC(".maps") __weak;

SEC("xdp")
int always(struct xdp_md *ctx)
{
	__u32 key = 0;
	__u64 *n = bpf_map_lookup_elem(&maybe, &key);

	if (n)
		*n += 1;
	return XDP_PASS;
}

SEC("?xdp")
int on_demand(struct xdp_md *ctx)
{
	return XDP_DROP;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
