// SPDX-License-Identifier: MIT OR Apache-2.0
/* A subprogram in a section of its own, whose name says no program type. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

volatile __u64 calls;

__noinline int leaf(int n)
{
	calls += n;
	return n + 1;
}

SEC("library")
__noinline int helper(int n)
{
	calls += 1;
	return leaf(n);
}

SEC("xdp")
int on_device(struct xdp_md *ctx)
{
	return helper(ctx->data_end - ctx->data) ? XDP_PASS : XDP_DROP;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
