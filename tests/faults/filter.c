// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * Three programs and three maps for tests/faults.rs; VERSION 2 changes all three programs and has one map more.
 * Each run of the test writes a name of its own in the place of `f00000`, so that what it left behind is known by name.
 */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>

#define MAP(name, map_type, entries)             \
	struct {                                 \
		__uint(type, map_type);          \
		__uint(max_entries, entries);    \
		__type(key, __u32);              \
		__type(value, __u64);            \
	} name SEC(".maps")

MAP(f00000_drops, BPF_MAP_TYPE_ARRAY, 1);
MAP(f00000_seen, BPF_MAP_TYPE_HASH, 16);
MAP(f00000_cpu, BPF_MAP_TYPE_PERCPU_ARRAY, 1);
#if VERSION > 1
MAP(f00000_fresh, BPF_MAP_TYPE_ARRAY, 4);
#endif

const volatile __u32 f00000_step = 1;

static __always_inline void add(void *map, __u32 key)
{
	__u64 *count = bpf_map_lookup_elem(map, &key);
	if (count)
		__sync_fetch_and_add(count, f00000_step + VERSION);
}

SEC("xdp")
int f00000_drop(struct xdp_md *ctx)
{
	add(&f00000_drops, 0);
	return XDP_PASS;
}

SEC("xdp")
int f00000_count(struct xdp_md *ctx)
{
	add(&f00000_cpu, 0);
	add(&f00000_seen, 1);
	return XDP_PASS;
}

SEC("tc")
int f00000_shape(struct __sk_buff *skb)
{
#if VERSION > 1
	add(&f00000_fresh, 1);
#endif
	add(&f00000_seen, 2);
	return TC_ACT_UNSPEC;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
