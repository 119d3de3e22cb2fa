// SPDX-License-Identifier: MIT OR Apache-2.0
/* Several programs in one section. */
#include "../small.h"

SEC("xdp")
int one(struct xdp_md *ctx)
{
	return XDP_PASS;
}

SEC("xdp")
int two(struct xdp_md *ctx)
{
	return XDP_DROP;
}

SEC("xdp")
int three(struct xdp_md *ctx)
{
	return ctx->rx_queue_index ? XDP_PASS : XDP_ABORTED;
}
