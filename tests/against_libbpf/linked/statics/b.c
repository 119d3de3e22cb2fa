// SPDX-License-Identifier: MIT OR Apache-2.0
/* The others of these names. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

static volatile int state = 2;

static __noinline int step(int n)
{
	return n - state;
}

SEC("xdp")
int use_too(struct xdp_md *ctx)
{
	return step(3) ? XDP_PASS : XDP_DROP;
}
