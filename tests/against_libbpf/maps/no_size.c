// SPDX-License-Identifier: MIT OR Apache-2.0
/* A map without a size, which only a manifest or an application can give. */
#include "../small.h"

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, __u32);
	__type(value, __u64);
} open SEC(".maps");

SEC("xdp")
int count(struct xdp_md *ctx)
{
	COUNT(open);
	return XDP_PASS;
}
