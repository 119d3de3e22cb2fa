// SPDX-License-Identifier: MIT OR Apache-2.0
/* Tail calls, with programs in the slots from the beginning, and one slot empty. */
#include "../small.h"

int first(struct xdp_md *ctx);
int second(struct xdp_md *ctx);

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 4);
	__uint(key_size, 4);
	__array(values, int(struct xdp_md *));
} next SEC(".maps") = {
	.values = { [0] = &first, [2] = &second },
};

SEC("xdp")
int entry(struct xdp_md *ctx)
{
	bpf_tail_call(ctx, &next, ctx->rx_queue_index);
	bpf_tail_call(ctx, &next, 2);
	return XDP_PASS;
}

SEC("xdp")
int first(struct xdp_md *ctx)
{
	return XDP_DROP;
}

SEC("xdp")
int second(struct xdp_md *ctx)
{
	bpf_tail_call_static(ctx, &next, 0);
	return XDP_PASS;
}
