// SPDX-License-Identifier: MIT OR Apache-2.0
/* The strong one. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

int level = 2;

__noinline int choose(int n)
{
	return n * level;
}

SEC("xdp")
int use_too(struct xdp_md *ctx)
{
	return choose(3) ? XDP_PASS : XDP_DROP;
}
