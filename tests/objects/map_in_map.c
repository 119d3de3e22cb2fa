// SPDX-License-Identifier: MIT OR Apache-2.0
/* Outer maps: filled with two maps of the object, and empty with a template that is no map. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct inner {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16);
	__type(key, __u32);
	__type(value, __u64);
} even SEC(".maps"), odd SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 3);
	__type(key, __u32);
	__array(values, struct inner);
} filled SEC(".maps") = {
	.values = {
		[0] = &even,
		[2] = &odd,
	},
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH_OF_MAPS);
	__uint(max_entries, 8);
	__type(key, __u64);
	__array(values, struct {
		__uint(type, BPF_MAP_TYPE_ARRAY);
		__uint(max_entries, 2);
		__type(key, __u32);
		__type(value, __u32);
	});
} empty SEC(".maps");

SEC("xdp")
int count(struct xdp_md *ctx)
{
	__u32 slot = 2, key = 0;
	__u64 name = 1, one = 1;
	void *map = bpf_map_lookup_elem(&filled, &slot);

	if (map)
		bpf_map_update_elem(map, &key, &one, BPF_ANY);
	map = bpf_map_lookup_elem(&empty, &name);
	return map ? XDP_DROP : XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
