// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * One of the many objects of the benchmark: five programs of three types, compiled once for each ID.
 * It defines two maps, or three where ID is odd, and uses one more that the manifest takes from its neighbour.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/pkt_cls.h>
#include <linux/tcp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

struct flow {
	__u32 saddr, daddr;
	__u16 sport, dport;
	__u32 proto;
};

struct counters {
	__u64 packets, bytes;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 64);
	__type(key, struct flow);
	__type(value, struct counters);
} flows SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 16);
	__type(key, __u32);
	__type(value, struct counters);
} totals SEC(".maps");

#if ID % 2
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 64);
	__type(key, __u32);
	__type(value, __u64);
} seen SEC(".maps");
#endif

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 64);
	__type(key, struct flow);
	__type(value, struct counters);
} neighbour SEC(".maps");

static __always_inline int parse(void *data, void *end, struct flow *flow)
{
	struct ethhdr *eth = data;
	struct iphdr *ip = data + sizeof(*eth);

	if ((void *)(ip + 1) > end || eth->h_proto != bpf_htons(ETH_P_IP) || ip->ihl < 5)
		return -1;
	flow->saddr = ip->saddr;
	flow->daddr = ip->daddr;
	flow->proto = ip->protocol;
	if (ip->protocol == IPPROTO_TCP || ip->protocol == IPPROTO_UDP) {
		struct tcphdr *l4 = (void *)ip + ip->ihl * 4;

		if ((void *)(l4 + 1) > end)
			return -1;
		flow->sport = l4->source;
		flow->dport = l4->dest;
	}
	return 0;
}

static __always_inline void count(void *map, const void *key, __u64 bytes)
{
	struct counters *counters = bpf_map_lookup_elem(map, key);

	if (counters) {
		__sync_fetch_and_add(&counters->packets, 1);
		__sync_fetch_and_add(&counters->bytes, bytes);
	}
}

static __always_inline int judge(void *data, void *end, __u32 slot)
{
	struct flow flow = {};

	if (parse(data, end, &flow))
		return 0;
	slot = (slot + ID) % 16;
	count(&totals, &slot, end - data);
	count(&flows, &flow, end - data);
	count(&neighbour, &flow, end - data);
#if ID % 2
	__u64 *last = bpf_map_lookup_elem(&seen, &flow.saddr);

	if (last && *last == ID)
		return 1;
#endif
	return flow.dport == bpf_htons(1000 + ID);
}

SEC("xdp")
int on_xdp(struct xdp_md *ctx)
{
	return judge((void *)(long)ctx->data, (void *)(long)ctx->data_end, 0) ? XDP_DROP : XDP_PASS;
}

SEC("xdp")
int on_xdp_reverse(struct xdp_md *ctx)
{
	return judge((void *)(long)ctx->data, (void *)(long)ctx->data_end, 1) ? XDP_PASS : XDP_DROP;
}

SEC("tc")
int on_ingress(struct __sk_buff *skb)
{
	return judge((void *)(long)skb->data, (void *)(long)skb->data_end, 2) ? TC_ACT_SHOT : TC_ACT_OK;
}

SEC("tc")
int on_egress(struct __sk_buff *skb)
{
	return judge((void *)(long)skb->data, (void *)(long)skb->data_end, 3) ? TC_ACT_SHOT : TC_ACT_OK;
}

SEC("cgroup_skb/ingress")
int on_cgroup(struct __sk_buff *skb)
{
	__u32 slot = ID % 16;

	count(&totals, &slot, skb->len);
	return 1;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
