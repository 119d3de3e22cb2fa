// SPDX-License-Identifier: MIT OR Apache-2.0
/* Two definitions of one kind, and a program that uses both. */
#include "../small.h"

struct definition {
	__u32 type, key_size, value_size, max_entries, map_flags;
};

struct definition counts SEC("maps") = {
	.type = BPF_MAP_TYPE_HASH,
	.key_size = 4,
	.value_size = 8,
	.max_entries = 100,
	.map_flags = BPF_F_NO_PREALLOC,
};

struct definition other SEC("maps") = {
	.type = BPF_MAP_TYPE_ARRAY,
	.key_size = 4,
	.value_size = 8,
	.max_entries = 3,
};

SEC("xdp")
int count(struct xdp_md *ctx)
{
	COUNT(other);
	COUNT(counts);
	return XDP_PASS;
}
