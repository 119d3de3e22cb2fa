// SPDX-License-Identifier: MIT OR Apache-2.0
/* Subprograms of subprograms, in an order that only their calls say. */
#include "../small.h"

volatile __u64 sum;

FUNCTION int d(int n)
{
	sum += 1;
	return n ^ 1;
}

FUNCTION int b(int n)
{
	sum += 2;
	return d(n) + 2;
}

FUNCTION int c(int n)
{
	sum += 3;
	return d(n) * 3;
}

FUNCTION int a(int n)
{
	sum += 4;
	return c(n) + b(n) + c(n + 1);
}

SEC("xdp")
int main_a(struct xdp_md *ctx)
{
	return a(ctx->rx_queue_index) ? XDP_PASS : XDP_DROP;
}

SEC("xdp")
int main_b(struct xdp_md *ctx)
{
	return b(d(ctx->rx_queue_index)) ? XDP_PASS : XDP_DROP;
}
