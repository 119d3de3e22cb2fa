// SPDX-License-Identifier: MIT OR Apache-2.0
/* A map that is weak. */
#include "../small.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} weak __weak SEC(".maps");

SEC("xdp")
int count(struct xdp_md *ctx)
{
	COUNT(weak);
	return XDP_PASS;
}
