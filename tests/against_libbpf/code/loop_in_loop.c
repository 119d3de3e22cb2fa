// SPDX-License-Identifier: MIT OR Apache-2.0
/* A callback that takes the address of another callback. */
#include "../small.h"

FUNCTION int inner(__u64 index, void *sum)
{
	*(__u64 *)sum += index;
	return 0;
}

FUNCTION int outer(__u64 index, void *sum)
{
	bpf_loop(3, inner, sum, 0);
	return index > 5;
}

SEC("xdp")
int use(struct xdp_md *ctx)
{
	__u64 sum = 0;

	bpf_loop(10, outer, &sum, 0);
	return sum ? XDP_PASS : XDP_DROP;
}
