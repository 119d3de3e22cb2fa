// SPDX-License-Identifier: MIT OR Apache-2.0
/* The address of a literal, by a register. */
#include "../small.h"

FUNCTION int first(const char *text)
{
	return text ? text[0] : 0;
}

SEC("xdp")
int use(struct xdp_md *ctx)
{
	const char *text = ctx->rx_queue_index ? "left" : "right";

	return first(text) == 'l' ? XDP_PASS : XDP_DROP;
}
