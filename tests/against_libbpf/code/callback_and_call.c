// SPDX-License-Identifier: MIT OR Apache-2.0
/* A callback that is called as well. */
#include "../small.h"

FUNCTION int add(__u64 index, __u64 *sum)
{
	if (sum)
		*sum += index;
	return 0;
}

SEC("xdp")
int use(struct xdp_md *ctx)
{
	__u64 sum = 0;

	add(7, &sum);
	bpf_loop(10, add, &sum, 0);
	return sum ? XDP_PASS : XDP_DROP;
}
