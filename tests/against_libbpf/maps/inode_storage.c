// SPDX-License-Identifier: MIT OR Apache-2.0
/* What each inode has for itself; only LSM programs reach it. */
#include "../small.h"

struct {
	__uint(type, BPF_MAP_TYPE_INODE_STORAGE);
	__type(key, int);
	__type(value, __u64);
	__uint(map_flags, BPF_F_NO_PREALLOC);
} own SEC(".maps");

SEC("xdp")
int pass(struct xdp_md *ctx)
{
	return XDP_PASS;
}
