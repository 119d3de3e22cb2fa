// SPDX-License-Identifier: MIT OR Apache-2.0
/* Sockets of AF_XDP. */
#include "../small.h"

struct {
	__uint(type, BPF_MAP_TYPE_XSKMAP);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, __u32);
} sockets SEC(".maps");

SEC("xdp")
int send(struct xdp_md *ctx)
{
	__u32 index = ctx->rx_queue_index;

	return bpf_map_lookup_elem(&sockets, &index) ? bpf_redirect_map(&sockets, index, 0) : XDP_PASS;
}
