// SPDX-License-Identifier: MIT OR Apache-2.0
/* One subprogram of programs of three types. */
#include "../small.h"

__u64 calls;

__noinline int note(__u32 n)
{
	calls += n;
	return n > 9;
}

SEC("xdp")
int on_device(struct xdp_md *ctx)
{
	return note(ctx->rx_queue_index) ? XDP_PASS : XDP_DROP;
}

SEC("tc")
int on_stack(struct __sk_buff *skb)
{
	return note(skb->len);
}

SEC("cgroup_skb/egress")
int on_group(struct __sk_buff *skb)
{
	return note(skb->mark) ? 1 : 0;
}
