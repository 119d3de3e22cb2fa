// SPDX-License-Identifier: MIT OR Apache-2.0
/* A callback that asks for itself: the verifier says no, and both ask alike. */
#include "../small.h"

FUNCTION int again(__u64 index, void *sum)
{
	*(__u64 *)sum += index;
	bpf_loop(2, again, sum, 0);
	return 0;
}

SEC("xdp")
int use(struct xdp_md *ctx)
{
	__u64 sum = 0;

	bpf_loop(3, again, &sum, 0);
	return sum ? XDP_PASS : XDP_DROP;
}
