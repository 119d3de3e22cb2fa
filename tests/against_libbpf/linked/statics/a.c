// SPDX-License-Identifier: MIT OR Apache-2.0
/* Functions and variables of one name in both files. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

static volatile int state = 1;

static __noinline int step(int n)
{
	return n + state;
}

SEC("xdp")
int use(struct xdp_md *ctx)
{
	return step(ctx->rx_queue_index) ? XDP_PASS : XDP_DROP;
}

char LICENSE[] SEC("license") = "GPL";
