// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * Counts what the stack of this host receives and what its processes send.
 * `seen` is a map of its own here; the manifest makes it the map of xdp.bpf.c.
 */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>
#include "count.h"

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, HOOKS);
	__type(key, enum hook);
	__type(value, struct traffic);
} seen SEC(".maps");

SEC("tc")
int count_ingress(struct __sk_buff *skb)
{
	count(&seen, HOOK_TC_INGRESS, skb->len);
	return TC_ACT_UNSPEC; /* let the next program on this hook decide */
}

SEC("cgroup_skb/egress")
int count_egress(struct __sk_buff *skb)
{
	count(&seen, HOOK_CGROUP_EGRESS, skb->len);
	return 1; /* allow */
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
