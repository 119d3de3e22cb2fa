// SPDX-License-Identifier: MIT OR Apache-2.0
/* Functions that are weak, hidden or both. */
#include "../small.h"

volatile int n;

__weak __noinline int weak(int x)
{
	return x + n;
}

__hidden __noinline int hidden(int x)
{
	return x * n;
}

__weak __hidden __noinline int both(int *x)
{
	return *x - n;
}

SEC("xdp")
int use(struct xdp_md *ctx)
{
	int x = ctx->rx_queue_index;

	return weak(hidden(both(&x))) ? XDP_PASS : XDP_DROP;
}
