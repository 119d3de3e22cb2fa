// SPDX-License-Identifier: MIT OR Apache-2.0
/* Static subprograms in the section of the program that calls them, one before it and one after. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

volatile __u64 calls;

static int after(int n);

static __noinline SEC("xdp") int before(int n)
{
	calls += 1;
	return after(n) + 1;
}

SEC("xdp")
int on_device(struct xdp_md *ctx)
{
	return before(ctx->data_end - ctx->data) ? XDP_PASS : XDP_DROP;
}

static __noinline SEC("xdp") int after(int n)
{
	calls += n;
	return n + 3;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
