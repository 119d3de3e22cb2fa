// SPDX-License-Identifier: MIT OR Apache-2.0
/* Members of some bits, in every way that a struct has them. */
#include "../small.h"

struct bits {
	int a : 3;
	unsigned b : 13;
	__u64 c : 40;
	_Bool d : 1;
	int : 0;
	__u8 e : 7, : 1, f : 4;
};

struct bits bits = { 1, 2, 3, 1, 5, 6 };

SEC("xdp")
int use(struct xdp_md *ctx)
{
	bits.b++;
	return bits.c ? XDP_PASS : XDP_DROP;
}
