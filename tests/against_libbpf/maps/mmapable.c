// SPDX-License-Identifier: MIT OR Apache-2.0
/* An array that user space can map into its memory. */
#include "../small.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 7);
	__type(key, __u32);
	__type(value, __u64);
	__uint(map_flags, BPF_F_MMAPABLE);
} shared SEC(".maps");

SEC("xdp")
int count(struct xdp_md *ctx)
{
	COUNT(shared);
	return XDP_PASS;
}
