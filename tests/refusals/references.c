// SPDX-License-Identifier: MIT OR Apache-2.0
// Programs that do not give back what they took.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} events SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} next SEC(".maps");

SEC("xdp")
int keeps_a_socket(struct xdp_md *ctx)
{
	struct bpf_sock_tuple tuple = {};
	struct bpf_sock *sock = bpf_sk_lookup_tcp(ctx, &tuple, sizeof(tuple.ipv4), BPF_F_CURRENT_NETNS, 0);

	return sock ? XDP_DROP : XDP_PASS;
}

SEC("xdp")
int keeps_an_event(struct xdp_md *ctx)
{
	int *event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);

	if (event)
		*event = 1;
	return XDP_PASS;
}

SEC("xdp")
int gives_back_twice(struct xdp_md *ctx)
{
	int *event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);

	if (!event)
		return XDP_PASS;
	bpf_ringbuf_submit(event, 0);
	bpf_ringbuf_submit(event, 0);
	return XDP_PASS;
}

SEC("xdp")
int jumps_with_an_event(struct xdp_md *ctx)
{
	int *event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);

	if (!event)
		return XDP_PASS;
	bpf_tail_call(ctx, &next, 0);
	bpf_ringbuf_submit(event, 0);
	return XDP_PASS;
}

char _license[] SEC("license") = "Dual MIT/GPL";
