// SPDX-License-Identifier: MIT OR Apache-2.0
/* Different types of one name, in different scopes. */
#include "../small.h"

struct thing {
	int a;
};
struct thing first;

FUNCTION int other(int n)
{
	struct thing {
		__u64 b, c;
	};
	static volatile struct thing second;

	second.c = n;
	return second.b;
}

SEC("xdp")
int use(struct xdp_md *ctx)
{
	first.a = other(ctx->rx_queue_index);
	return XDP_PASS;
}
