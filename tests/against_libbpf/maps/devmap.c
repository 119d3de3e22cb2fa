// SPDX-License-Identifier: MIT OR Apache-2.0
/* Devices to send to: by index, by any number, and with a program for each. */
#include "../small.h"

struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP);
	__uint(max_entries, 8);
	__type(key, __u32);
	__type(value, __u32);
} by_index SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP_HASH);
	__uint(max_entries, 8);
	__type(key, __u32);
	__type(value, struct bpf_devmap_val);
} by_number SEC(".maps");

SEC("xdp")
int send(struct xdp_md *ctx)
{
	return ctx->rx_queue_index ? bpf_redirect_map(&by_index, 1, 0) : bpf_redirect_map(&by_number, 77, XDP_DROP);
}

SEC("xdp/devmap")
int sent(struct xdp_md *ctx)
{
	return ctx->egress_ifindex == 1 ? XDP_DROP : XDP_PASS;
}
