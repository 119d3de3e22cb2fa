// SPDX-License-Identifier: MIT OR Apache-2.0
/* Wants the maps of pin_by_name.c by their names, and wants each of them to be another map. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct seen {
	__u32 first;
	__u32 last;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
	__type(key, __u64);
	__type(value, __u32);
} shared_count SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
	__type(key, __u32);
	__type(value, struct seen);
} shared_hosts SEC(".maps");

SEC("tc")
int count(struct __sk_buff *skb)
{
	__u64 key = 0;
	__u32 *n = bpf_map_lookup_elem(&shared_count, &key);
	struct seen *seen = bpf_map_lookup_elem(&shared_hosts, &key);

	return n && seen ? 0 : -1;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
