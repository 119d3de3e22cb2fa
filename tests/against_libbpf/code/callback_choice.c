// SPDX-License-Identifier: MIT OR Apache-2.0
/* Two callbacks of two programs, one of them shared. */
#include "../small.h"

FUNCTION int one(__u64 index, __u64 *sum)
{
	*sum += 1;
	return 0;
}

FUNCTION int two(__u64 index, __u64 *sum)
{
	*sum += 2;
	return 0;
}

SEC("xdp")
int both(struct xdp_md *ctx)
{
	__u64 sum = 0;

	bpf_loop(4, two, &sum, 0);
	bpf_loop(4, one, &sum, 0);
	return sum ? XDP_PASS : XDP_DROP;
}

SEC("xdp")
int alone(struct xdp_md *ctx)
{
	__u64 sum = 0;

	bpf_loop(4, one, &sum, 0);
	return sum ? XDP_PASS : XDP_DROP;
}
