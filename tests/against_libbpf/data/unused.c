// SPDX-License-Identifier: MIT OR Apache-2.0
/* Sections that no program looks at. */
#include "../small.h"

const volatile __u32 version = 3;
__u64 numbers = 42;
__u64 zeroes;

SEC("xdp")
int pass(struct xdp_md *ctx)
{
	return XDP_PASS;
}
