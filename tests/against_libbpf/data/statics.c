// SPDX-License-Identifier: MIT OR Apache-2.0
/* Static variables of a file and of functions, some with the same name. */
#include "../small.h"

static volatile __u64 counter;
static volatile __u32 start = 100;

FUNCTION __u64 next(void)
{
	static volatile __u64 counter = 5;

	return counter++;
}

SEC("xdp")
int use(struct xdp_md *ctx)
{
	static volatile __u64 last;

	last = next();
	counter += last + start;
	return XDP_PASS;
}
