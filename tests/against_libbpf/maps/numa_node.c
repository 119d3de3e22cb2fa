// SPDX-License-Identifier: MIT OR Apache-2.0
/* The node that the memory is of. */
#include "../small.h"

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 10);
	__type(key, __u32);
	__type(value, __u64);
	__uint(numa_node, 0);
	__uint(map_flags, BPF_F_NUMA_NODE);
} near SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 10);
	__type(key, __u32);
	__type(value, __u64);
	__uint(numa_node, 0);
} nearer SEC(".maps");

SEC("xdp")
int count(struct xdp_md *ctx)
{
	COUNT(near);
	COUNT(nearer);
	return XDP_PASS;
}
