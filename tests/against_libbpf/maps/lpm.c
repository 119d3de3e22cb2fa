// SPDX-License-Identifier: MIT OR Apache-2.0
/* The longest prefix wins. */
#include "../small.h"

struct prefix {
	__u32 bits;
	__u8 address[16];
};

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 100);
	__type(key, struct prefix);
	__type(value, __u32);
	__uint(map_flags, BPF_F_NO_PREALLOC);
} routes SEC(".maps");

SEC("xdp")
int route(struct xdp_md *ctx)
{
	struct prefix key = { .bits = 128 };

	return bpf_map_lookup_elem(&routes, &key) ? XDP_PASS : XDP_DROP;
}
