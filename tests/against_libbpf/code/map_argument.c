// SPDX-License-Identifier: MIT OR Apache-2.0
/* A map as an argument of a subprogram. */
#include "../small.h"

struct table {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, __u64);
} left SEC(".maps"), right SEC(".maps");

FUNCTION __u64 *find(void *map, __u32 key)
{
	return bpf_map_lookup_elem(map, &key);
}

SEC("xdp")
int use(struct xdp_md *ctx)
{
	__u64 *n = find(&left, 1), *m = find(&right, 2);

	return n && m && *n == *m ? XDP_PASS : XDP_DROP;
}
