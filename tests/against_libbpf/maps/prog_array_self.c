// SPDX-License-Identifier: MIT OR Apache-2.0
/* A program that only its own tail call leads to, two that lead to each other, and one in an array that nobody uses. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#define CALLS(name, function)                                 \
	struct {                                              \
		__uint(type, BPF_MAP_TYPE_PROG_ARRAY);        \
		__uint(max_entries, 1);                       \
		__uint(key_size, sizeof(__u32));              \
		__array(values, int(struct xdp_md *));        \
	} name SEC(".maps") = { .values = { [0] = &function } }

int again(struct xdp_md *ctx);
int ping(struct xdp_md *ctx);
int pong(struct xdp_md *ctx);
int alone(struct xdp_md *ctx);

CALLS(to_again, again);
CALLS(to_ping, ping);
CALLS(to_pong, pong);
CALLS(to_alone, alone);

SEC("xdp")
int again(struct xdp_md *ctx)
{
	bpf_tail_call(ctx, &to_again, 0);
	return XDP_PASS;
}

SEC("xdp")
int ping(struct xdp_md *ctx)
{
	bpf_tail_call(ctx, &to_pong, 0);
	return XDP_DROP;
}

SEC("xdp")
int pong(struct xdp_md *ctx)
{
	bpf_tail_call(ctx, &to_ping, 0);
	return XDP_ABORTED;
}

SEC("xdp")
int alone(struct xdp_md *ctx)
{
	return XDP_TX;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
