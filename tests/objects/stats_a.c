// SPDX-License-Identifier: MIT OR Apache-2.0
/* Defines the map `stats` that the stats_b objects want to share. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct stats {
	__u64 packets;
	__u64 bytes;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 64);
	__type(key, __u32);
	__type(value, struct stats);
} stats SEC(".maps");

SEC("xdp")
int on_device(struct xdp_md *ctx)
{
	__u32 key = 0;
	struct stats *seen = bpf_map_lookup_elem(&stats, &key);

	if (seen)
		seen->packets += 1;
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
