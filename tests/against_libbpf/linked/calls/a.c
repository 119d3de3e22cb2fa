// SPDX-License-Identifier: MIT OR Apache-2.0
/* A program, and a function that the other file has. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

extern int twice(int n);
int seen;

SEC("xdp")
int use(struct xdp_md *ctx)
{
	seen = twice(ctx->rx_queue_index);
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "GPL";
