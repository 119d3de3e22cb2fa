// SPDX-License-Identifier: MIT OR Apache-2.0
/* Instructions of newer sets: atomic ones and 32-bit ones. */
#include "../small.h"

__u64 wide;
__u32 narrow;

SEC("xdp")
int use(struct xdp_md *ctx)
{
	__u64 old = __sync_fetch_and_add(&wide, 3);

	__sync_fetch_and_or(&wide, old);
	__sync_val_compare_and_swap(&narrow, 1, 2);
	return __sync_lock_test_and_set(&narrow, 9) > 3 ? XDP_PASS : XDP_DROP;
}
