// SPDX-License-Identifier: MIT OR Apache-2.0
/* Definitions behind names of their own. */
#include "../small.h"

typedef __u32 number;
typedef number index_t;
typedef struct {
	const index_t from;
	volatile number to;
} pair;
typedef struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4);
	__type(key, pair);
	__type(value, index_t);
} table;

table one SEC(".maps");
table two SEC(".maps");

SEC("xdp")
int look(struct xdp_md *ctx)
{
	pair key = {};

	return bpf_map_lookup_elem(&one, &key) || bpf_map_lookup_elem(&two, &key) ? XDP_PASS : XDP_DROP;
}
