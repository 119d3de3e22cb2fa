// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * Two programs, two maps and two variables for tests/faults.rs, and `seen`, which the manifest makes the map of
 * filter.c. One variable is reached through memory; the other is static, so that its section is written by system calls.
 * `f00000` is a place for a name, as there.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#define MAP(name, map_type, entries)             \
	struct {                                 \
		__uint(type, map_type);          \
		__uint(max_entries, entries);    \
		__type(key, __u32);              \
		__type(value, __u64);            \
	} name SEC(".maps")

MAP(f00000_seen, BPF_MAP_TYPE_HASH, 16);
MAP(f00000_bytes, BPF_MAP_TYPE_ARRAY, 2);
MAP(f00000_hosts, BPF_MAP_TYPE_LRU_HASH, 64);

volatile __u64 f00000_weight = 1;
static volatile __u64 f00000_pace SEC(".data.own") = 1;

static __always_inline int add(void *map, __u32 key, __u64 amount)
{
	__u64 *count = bpf_map_lookup_elem(map, &key);
	if (count)
		__sync_fetch_and_add(count, amount);
	return 1; /* allow */
}

SEC("cgroup_skb/egress")
int f00000_out(struct __sk_buff *skb)
{
	add(&f00000_bytes, 0, skb->len);
	return add(&f00000_seen, 3, 1);
}

SEC("cgroup_skb/ingress")
int f00000_in(struct __sk_buff *skb)
{
	add(&f00000_bytes, 1, skb->len * f00000_weight * f00000_pace);
	return add(&f00000_hosts, skb->ifindex, 1);
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
