// SPDX-License-Identifier: MIT OR Apache-2.0
/* A program of today that counts into the map of the old classifier. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include "hits.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, HITS);
	__type(key, __u32);
	__type(value, __u64);
} counters SEC(".maps");

SEC("xdp")
int see_xdp(struct xdp_md *ctx)
{
	__u32 what = HITS_XDP;
	__u64 *n = bpf_map_lookup_elem(&counters, &what);

	if (n)
		__sync_fetch_and_add(n, 1);
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
