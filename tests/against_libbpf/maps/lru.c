// SPDX-License-Identifier: MIT OR Apache-2.0
/* A map that forgets; without a common list the kernel rounds its size. */
#include "../small.h"

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1001);
	__type(key, __u32);
	__type(value, __u64);
} common SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1001);
	__type(key, __u32);
	__type(value, __u64);
	__uint(map_flags, BPF_F_NO_COMMON_LRU);
} apart SEC(".maps");

SEC("xdp")
int count(struct xdp_md *ctx)
{
	COUNT(common);
	COUNT(apart);
	return XDP_PASS;
}
