// SPDX-License-Identifier: MIT OR Apache-2.0
/* Maps without keys. */
#include "../small.h"

struct {
	__uint(type, BPF_MAP_TYPE_QUEUE);
	__uint(max_entries, 16);
	__type(value, __u64);
} waiting SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_STACK);
	__uint(max_entries, 16);
	__type(value, __u64);
} nested SEC(".maps");

SEC("xdp")
int move(struct xdp_md *ctx)
{
	__u64 value;

	if (!bpf_map_pop_elem(&waiting, &value))
		bpf_map_push_elem(&nested, &value, BPF_EXIST);
	bpf_map_peek_elem(&nested, &value);
	return XDP_PASS;
}
