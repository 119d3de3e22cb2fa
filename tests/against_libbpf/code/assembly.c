// SPDX-License-Identifier: MIT OR Apache-2.0
/* Instructions that the author wrote. */
#include "../small.h"

__u64 seen;

__attribute__((naked, noinline)) int raw(void)
{
	asm volatile("r0 = 7;"
		     "if r0 > 3 goto +1;"
		     "r0 = 0;"
		     "exit;");
}

SEC("xdp")
int use(struct xdp_md *ctx)
{
	asm volatile("r1 = %[seen] ll; r2 = 1; *(u64 *)(r1 + 0) = r2;" ::[seen] "i"(&seen) : "r1", "r2");
	return raw() ? XDP_PASS : XDP_DROP;
}
