// SPDX-License-Identifier: MIT OR Apache-2.0
/* Types whose names no kernel takes, in an object whose types are good otherwise; a map with one of them. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct odd$name {
	int member$name;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct odd$name);
} counts SEC(".maps");

SEC("xdp")
int named(struct xdp_md *ctx)
{
	__u32 key = 0;
	struct odd$name *value = bpf_map_lookup_elem(&counts, &key);

	return value && value->member$name ? XDP_DROP : XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
