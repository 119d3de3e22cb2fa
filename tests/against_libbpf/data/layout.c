// SPDX-License-Identifier: MIT OR Apache-2.0
/* Variables that need room between them, and places in the middle of one. */
#include "../small.h"

struct inner {
	__u8 a;
	__u64 b[5];
};

char one = 1;
__u64 eight = 8;
char two = 2;
struct inner many[9] = { [3] = { .a = 1, .b = { [2] = 77 } } };
__u64 far[4] __attribute__((aligned(64))) = { 1 };

SEC("xdp")
int use(struct xdp_md *ctx)
{
	many[3].b[2] += one + eight + two;
	far[3] = many[ctx->rx_queue_index & 7].b[1];
	return XDP_PASS;
}
