// SPDX-License-Identifier: MIT OR Apache-2.0
/* A callback that is a global function. */
#include "../small.h"

__u64 calls;

__noinline int step(__u32 index, void *context)
{
	calls++;
	return 0;
}

SEC("xdp")
int use(struct xdp_md *ctx)
{
	bpf_loop(3, step, 0, 0);
	return XDP_PASS;
}
