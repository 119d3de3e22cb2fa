// SPDX-License-Identifier: MIT OR Apache-2.0
/* Far jumps, 16-byte loads and maps in all branches. */
#include "../small.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} counts SEC(".maps"), others SEC(".maps");

FUNCTION __u64 spread(__u64 n)
{
	switch (n & 7) {
	case 0:
		COUNT(counts);
		return 0x123456789abcdef0;
	case 1:
		COUNT(others);
		return 0xffff800012345678;
	case 5:
		COUNT(counts);
		return -1;
	default:
		return n * 0xdeadbeefcafef00d;
	}
}

SEC("xdp")
int use(struct xdp_md *ctx)
{
	return spread(ctx->rx_queue_index) >> 63 ? XDP_PASS : XDP_DROP;
}
