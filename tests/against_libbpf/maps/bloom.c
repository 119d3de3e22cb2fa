// SPDX-License-Identifier: MIT OR Apache-2.0
/* A bloom filter, with a number of hash functions of its own and with the usual one. */
#include "../small.h"

struct {
	__uint(type, BPF_MAP_TYPE_BLOOM_FILTER);
	__uint(max_entries, 1000);
	__type(value, __u32);
	__uint(map_extra, 7);
} some SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_BLOOM_FILTER);
	__uint(max_entries, 1000);
	__type(value, __u32);
} usual SEC(".maps");

SEC("xdp")
int seen(struct xdp_md *ctx)
{
	__u32 value = ctx->rx_queue_index;

	bpf_map_push_elem(&usual, &value, 0);
	return bpf_map_peek_elem(&some, &value) ? XDP_PASS : XDP_DROP;
}
