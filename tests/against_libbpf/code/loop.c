// SPDX-License-Identifier: MIT OR Apache-2.0
/* A function that the kernel calls again and again, which calls another one. */
#include "../small.h"

FUNCTION int square(int n)
{
	volatile int here = n;

	return here * here;
}

FUNCTION int add(__u64 index, void *sum)
{
	*(__u64 *)sum += square(index);
	return 0;
}

SEC("xdp")
int use(struct xdp_md *ctx)
{
	__u64 sum = square(3);

	bpf_loop(10, add, &sum, 0);
	return sum ? XDP_PASS : XDP_DROP;
}
