// SPDX-License-Identifier: MIT OR Apache-2.0
/* Global functions, which the verifier checks alone, with what they say of their arguments. */
#include "../small.h"

__noinline int with_context(struct xdp_md *ctx, __u32 n)
{
	return ctx->ingress_ifindex + n;
}

struct pair {
	__u32 a, b;
};

__noinline int with_memory(struct pair *pair)
{
	return pair ? pair->a * pair->b : 0;
}

SEC("xdp")
int use(struct xdp_md *ctx)
{
	struct pair pair = { 3, ctx->rx_queue_index };

	return with_context(ctx, with_memory(&pair)) ? XDP_PASS : XDP_DROP;
}
