// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * Subprograms, all in .text: `far` is global and called by programs of two types, `farther` is
 * static and called only by `far`, `near` is static and called by one program.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

volatile __u64 calls;

static __noinline int farther(int n)
{
	calls += n;
	return n + 3;
}

__noinline int far(int n)
{
	calls += 1;
	return farther(n) * 2;
}

static __noinline int near(int n)
{
	calls += 10;
	return n + 1;
}

SEC("xdp")
int on_device(struct xdp_md *ctx)
{
	return far(near(ctx->data_end - ctx->data)) ? XDP_PASS : XDP_DROP;
}

SEC("tc")
int on_stack(struct __sk_buff *skb)
{
	return far(skb->len) ? -1 : 2;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
