// SPDX-License-Identifier: MIT OR Apache-2.0
/* Structs and unions without names, inside of each other. */
#include "../small.h"

struct outer {
	union {
		struct {
			__u32 a;
			__u32 b;
		};
		__u64 ab;
		struct {
			__u16 c[4];
		} named;
	};
	struct {
	} empty;
};

struct outer outer;

SEC("xdp")
int use(struct xdp_md *ctx)
{
	outer.b = ctx->rx_queue_index;
	return outer.ab ? XDP_PASS : XDP_DROP;
}
