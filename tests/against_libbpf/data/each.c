// SPDX-License-Identifier: MIT OR Apache-2.0
/* One variable in each of the three sections. */
#include "../small.h"

__u64 zeroes;
__u64 numbers = 42;
const volatile __u64 fixed = 7;

SEC("xdp")
int use(struct xdp_md *ctx)
{
	zeroes += numbers++ * fixed;
	return XDP_PASS;
}
