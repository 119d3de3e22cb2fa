// SPDX-License-Identifier: MIT OR Apache-2.0
/* Numbers with a fraction, only as types. */
#include "../small.h"

struct weights {
	float a;
	double b;
	long double c;
};

struct weights weights;

SEC("xdp")
int use(struct xdp_md *ctx)
{
	return (long)&weights ? XDP_PASS : XDP_DROP;
}
