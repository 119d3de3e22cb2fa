// SPDX-License-Identifier: MIT OR Apache-2.0
/* No variable that others may see, which decides whether user space can map the section. */
#include "../small.h"

static volatile __u64 calls;
__hidden __u64 bytes = 3;

SEC("xdp")
int use(struct xdp_md *ctx)
{
	calls++;
	bytes++;
	return XDP_PASS;
}
