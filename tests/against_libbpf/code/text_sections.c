// SPDX-License-Identifier: MIT OR Apache-2.0
/* Subprograms in sections beside `.text`, which libbpf does not look into. */
#include "../small.h"

volatile __u64 calls;

__attribute__((noinline, section(".text.unlikely"))) int rare(int n)
{
	calls += n;
	return n;
}

SEC("xdp")
int use(struct xdp_md *ctx)
{
	return rare(ctx->rx_queue_index) ? XDP_PASS : XDP_DROP;
}
