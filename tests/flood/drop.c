// SPDX-License-Identifier: MIT OR Apache-2.0
/* Filters that drop everything, for several hooks, in two versions of other code: -DVERSION=1 and -DVERSION=2. */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} drops SEC(".maps");

static __always_inline void count(void)
{
	__u32 key = 0;
	__u64 *drop = bpf_map_lookup_elem(&drops, &key);

	if (drop)
		__sync_fetch_and_add(drop, VERSION);
}

SEC("xdp")
int at_driver(struct xdp_md *ctx)
{
	count();
	return XDP_DROP;
}

SEC("tc")
int at_ingress(struct __sk_buff *skb)
{
	count();
	return TC_ACT_SHOT;
}

SEC("cgroup_skb/ingress")
int at_cgroup(struct __sk_buff *skb)
{
	count();
	return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
