// SPDX-License-Identifier: MIT OR Apache-2.0
/* A symbol that has to be there, and is not. */
#include "../small.h"

extern const void no_such_symbol __ksym;
__u64 found;

SEC("xdp")
int use(struct xdp_md *ctx)
{
	found = (__u64)&no_such_symbol;
	return XDP_PASS;
}
