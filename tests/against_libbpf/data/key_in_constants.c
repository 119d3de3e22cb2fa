// SPDX-License-Identifier: MIT OR Apache-2.0
/* Keys and values of maps that are global variables. */
#include "../small.h"

const __u32 key = 7;
__u64 value = 9;

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8);
	__type(key, __u32);
	__type(value, __u64);
} counts SEC(".maps");

SEC("xdp")
int use(struct xdp_md *ctx)
{
	bpf_map_update_elem(&counts, &key, &value, BPF_ANY);
	return XDP_PASS;
}
