// SPDX-License-Identifier: MIT OR Apache-2.0
/* A function behind another one of the same lines, by a macro. */
#include "../small.h"

#define TWICE(name, op) FUNCTION int name(int n) { volatile int here = n; return here op 3; }
TWICE(plus, +) TWICE(minus, -)

SEC("xdp")
int use(struct xdp_md *ctx)
{
	return plus(minus(ctx->rx_queue_index)) ? XDP_PASS : XDP_DROP;
}
