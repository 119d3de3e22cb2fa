// SPDX-License-Identifier: MIT OR Apache-2.0
/* Flags of hash maps that the kernel keeps. */
#include "../small.h"

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 10);
	__type(key, __u32);
	__type(value, __u64);
	__uint(map_flags, BPF_F_NO_PREALLOC);
} lazy SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 10);
	__type(key, __u32);
	__type(value, __u64);
	__uint(map_flags, BPF_F_ZERO_SEED);
} seeded SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 10);
	__type(key, __u32);
	__type(value, __u64);
	__uint(map_flags, BPF_F_NO_PREALLOC | BPF_F_ZERO_SEED);
} both SEC(".maps");

SEC("xdp")
int count(struct xdp_md *ctx)
{
	COUNT(lazy);
	COUNT(seeded);
	COUNT(both);
	return XDP_PASS;
}
