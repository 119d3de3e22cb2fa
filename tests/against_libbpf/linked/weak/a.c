// SPDX-License-Identifier: MIT OR Apache-2.0
/* Of two weak ones, and a strong one, one stays. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

int level __weak = 1;

__weak __noinline int choose(int n)
{
	return n + level;
}

SEC("xdp")
int use(struct xdp_md *ctx)
{
	return choose(ctx->rx_queue_index) ? XDP_PASS : XDP_DROP;
}

char LICENSE[] SEC("license") = "GPL";
