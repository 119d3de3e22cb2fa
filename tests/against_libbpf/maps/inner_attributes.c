// SPDX-License-Identifier: MIT OR Apache-2.0
/* What a template says besides its sizes. */
#include "../small.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 2);
	__uint(key_size, 4);
	__array(values, struct {
		__uint(type, BPF_MAP_TYPE_HASH);
		__uint(max_entries, 9);
		__uint(map_flags, BPF_F_NO_PREALLOC);
		__uint(key_size, 12);
		__uint(value_size, 20);
		__uint(numa_node, 0);
	});
} outer SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 2);
	__uint(key_size, 4);
	__array(values, struct {
		__uint(type, BPF_MAP_TYPE_RINGBUF);
		__uint(max_entries, 5000);
	});
} rings SEC(".maps");

SEC("xdp")
int look(struct xdp_md *ctx)
{
	__u32 zero = 0, key[3] = {};
	void *inner = bpf_map_lookup_elem(&outer, &zero), *ring = bpf_map_lookup_elem(&rings, &zero);

	if (ring)
		bpf_ringbuf_output(ring, key, sizeof(key), 0);
	return inner && bpf_map_lookup_elem(inner, key) ? XDP_PASS : XDP_DROP;
}
