// SPDX-License-Identifier: MIT OR Apache-2.0
/* Enumerations with and without signs and names. */
#include "../small.h"

enum plain { ONE = 1, TWO };
enum negative { LESS = -5, MORE = 5 };
enum large { LARGE = 0xffffffff };
enum { NAMELESS = 77 } nameless;
enum plain plain;
enum negative negative = LESS;
enum large large = LARGE;
enum forward *forward;

SEC("xdp")
int use(struct xdp_md *ctx)
{
	plain = ONE;
	return negative == MORE || large == LARGE || nameless == NAMELESS || forward ? XDP_PASS : XDP_DROP;
}
