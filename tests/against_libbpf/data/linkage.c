// SPDX-License-Identifier: MIT OR Apache-2.0
/* Weak and hidden variables. */
#include "../small.h"

__u64 weak __weak = 1;
__u64 hidden __hidden = 2;
__hidden __u64 hidden_zero;

SEC("xdp")
int use(struct xdp_md *ctx)
{
	hidden_zero += weak++ + hidden++;
	return XDP_PASS;
}
