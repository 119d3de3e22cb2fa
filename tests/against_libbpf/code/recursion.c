// SPDX-License-Identifier: MIT OR Apache-2.0
/* A function that calls itself: the verifier says no, and both ask alike. */
#include "../small.h"

#pragma clang diagnostic ignored "-Winfinite-recursion"
volatile int n;

FUNCTION int down(int x)
{
	n += x;
	return x > 3 ? down(x - 1) + n : 0;
}

SEC("xdp")
int use(struct xdp_md *ctx)
{
	return down(ctx->rx_queue_index) ? XDP_PASS : XDP_DROP;
}
