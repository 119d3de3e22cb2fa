// SPDX-License-Identifier: MIT OR Apache-2.0
/* A definition of 24 bytes, zero behind the fifth word. */
#include "../small.h"

struct definition {
	__u32 type, key_size, value_size, max_entries, map_flags, word5;
};

struct definition counts SEC("maps") = {
	.type = BPF_MAP_TYPE_HASH,
	.key_size = 4,
	.value_size = 8,
	.max_entries = 100,
	.map_flags = BPF_F_NO_PREALLOC,
};

SEC("xdp")
int count(struct xdp_md *ctx)
{
	COUNT(counts);
	return XDP_PASS;
}
