// SPDX-License-Identifier: MIT OR Apache-2.0
/* As stats_b.c, but with other flags. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct stats {
	__u64 packets;
	__u64 bytes;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 64);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32);
	__type(value, struct stats);
} stats SEC(".maps");

SEC("tc")
int on_stack(struct __sk_buff *ctx)
{
	__u32 key = 0;
	struct stats *seen = bpf_map_lookup_elem(&stats, &key);

	if (seen)
		seen->packets += 1;
	return -1;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
