// SPDX-License-Identifier: MIT OR Apache-2.0
/* One filter for several hooks, in two versions: built with -DVERSION=1 and -DVERSION=2. Both drop datagrams to port 9,
 * and version N those to port 10 + N. */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/pkt_cls.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

/* Whether an IPv4 header without options begins a datagram that is dropped. */
static __always_inline int drops(void *data, void *end)
{
	struct iphdr *ip = data;
	struct udphdr *udp = data + sizeof(*ip);
	__u16 port;

	if ((void *)(udp + 1) > end || ip->protocol != IPPROTO_UDP)
		return 0;
	port = bpf_ntohs(udp->dest);
	return port == 9 || port == 10 + VERSION;
}

static __always_inline int drops_frame(void *data, void *end)
{
	struct ethhdr *eth = data;

	return (void *)(eth + 1) <= end && eth->h_proto == bpf_htons(ETH_P_IP) && drops(eth + 1, end);
}

SEC("tc")
int filter(struct __sk_buff *skb)
{
	return drops_frame((void *)(long)skb->data, (void *)(long)skb->data_end) ? TC_ACT_SHOT : TC_ACT_UNSPEC;
}

SEC("xdp")
int first(struct xdp_md *ctx)
{
	return drops_frame((void *)(long)ctx->data, (void *)(long)ctx->data_end) ? XDP_DROP : XDP_PASS;
}

SEC("cgroup_skb/egress")
int services(struct __sk_buff *skb)
{
	return !drops((void *)(long)skb->data, (void *)(long)skb->data_end);
}

char LICENSE[] SEC("license") = "GPL";
