// SPDX-License-Identifier: MIT OR Apache-2.0
/* Constants that compilers make of initial values. */
#include "../small.h"

SEC("xdp")
int use(struct xdp_md *ctx)
{
	volatile struct {
		__u64 a, b, c, d;
	} four = { 11, 12, 13, 14 };
	const __u32 table[] = { 3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8, 9, 7, 9, 3 };

	return table[ctx->rx_queue_index & 15] + four.c;
}
