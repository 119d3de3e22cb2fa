// SPDX-License-Identifier: MIT OR Apache-2.0
/* A global function without a result. */
#include "../small.h"

__u64 calls;

__noinline int note(void)
{
	calls++;
	return 0;
}

SEC("xdp")
int use(struct xdp_md *ctx)
{
	note();
	note();
	return XDP_PASS;
}
