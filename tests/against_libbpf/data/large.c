// SPDX-License-Identifier: MIT OR Apache-2.0
/* Zeroes of many pages. */
#include "../small.h"

__u64 slots[20000];

SEC("xdp")
int use(struct xdp_md *ctx)
{
	slots[19999]++;
	if (ctx->rx_queue_index < 20000)
		slots[ctx->rx_queue_index]++;
	return XDP_PASS;
}
