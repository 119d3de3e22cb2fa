// SPDX-License-Identifier: MIT OR Apache-2.0
/* Functions that nobody calls. */
#include "../small.h"

volatile int n;

__noinline int nobody(int x)
{
	return x + n;
}

__noinline int nobody_either(int x)
{
	return nobody(x) + n;
}

__noinline int somebody(int x)
{
	return x - n;
}

SEC("xdp")
int use(struct xdp_md *ctx)
{
	return somebody(3) ? XDP_PASS : XDP_DROP;
}
