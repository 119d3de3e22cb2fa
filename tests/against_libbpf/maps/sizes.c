// SPDX-License-Identifier: MIT OR Apache-2.0
/* Sizes said as numbers, as types, and as both. */
#include "../small.h"

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4);
	__uint(key_size, 3);
	__uint(value_size, 5);
} numbers SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4);
	__uint(key_size, 4);
	__type(key, __u32);
	__type(value, __u64);
	__uint(value_size, 8);
} both SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4);
	__uint(key_size, 4);
	__type(value, __u64);
} mixed SEC(".maps");

SEC("xdp")
int look(struct xdp_md *ctx)
{
	__u8 key[3] = {};

	COUNT(both);
	COUNT(mixed);
	return bpf_map_lookup_elem(&numbers, key) ? XDP_PASS : XDP_DROP;
}
