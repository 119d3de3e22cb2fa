// SPDX-License-Identifier: MIT OR Apache-2.0
/* Constant, volatile and restricted, in chains. */
#include "../small.h"

typedef const volatile int *volatile const *chain;

chain *volatile links;
struct self {
	const struct self *restrict const next;
	void *const nothing;
	const void *something;
};
struct self self;

SEC("xdp")
int use(struct xdp_md *ctx)
{
	return links || self.next ? XDP_PASS : XDP_DROP;
}
