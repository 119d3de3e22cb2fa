// SPDX-License-Identifier: MIT OR Apache-2.0
/* Enumerations of 64 bits, which older compilers call large ones of 32. */
#include "../small.h"

enum wide { WIDE = 0x123456789 };
enum wide_negative { BELOW = -0x123456789 };
enum wide wide = WIDE;
enum wide_negative negative = BELOW;

SEC("xdp")
int use(struct xdp_md *ctx)
{
	return wide == WIDE && negative == BELOW ? XDP_PASS : XDP_DROP;
}
