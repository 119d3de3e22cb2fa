// SPDX-License-Identifier: MIT OR Apache-2.0
/* Eight calls deep, as far as the verifier goes. */
#include "../small.h"

FUNCTION int f0(int n)
{
	volatile int here = n + 0;

	return here ^ 0;
}

FUNCTION int f1(int n)
{
	volatile int here = n + 1;

	return f0(here) ^ 1;
}

FUNCTION int f2(int n)
{
	volatile int here = n + 2;

	return f1(here) ^ 2;
}

FUNCTION int f3(int n)
{
	volatile int here = n + 3;

	return f2(here) ^ 3;
}

FUNCTION int f4(int n)
{
	volatile int here = n + 4;

	return f3(here) ^ 4;
}

FUNCTION int f5(int n)
{
	volatile int here = n + 5;

	return f4(here) ^ 5;
}

FUNCTION int f6(int n)
{
	volatile int here = n + 6;

	return f5(here) ^ 6;
}

SEC("xdp")
int dive(struct xdp_md *ctx)
{
	return f6(ctx->rx_queue_index) ? XDP_PASS : XDP_DROP;
}
