// SPDX-License-Identifier: MIT OR Apache-2.0
/* Names of which nothing more is known. */
#include "../small.h"

struct unknown;
union unknown_too;

struct unknown *one;
union unknown_too *two;

SEC("xdp")
int use(struct xdp_md *ctx)
{
	return one || two ? XDP_PASS : XDP_DROP;
}
