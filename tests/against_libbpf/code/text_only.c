// SPDX-License-Identifier: MIT OR Apache-2.0
/* Functions in `.text` beside programs, each in its own way. */
#include "../small.h"

volatile __u64 calls;

__attribute__((noinline, cold)) int cold(int n)
{
	calls += n;
	return n;
}

__attribute__((noinline, hot)) int hot(int n)
{
	calls -= n;
	return cold(n + 1);
}

SEC("xdp")
int use(struct xdp_md *ctx)
{
	return hot(ctx->rx_queue_index) ? XDP_PASS : XDP_DROP;
}
