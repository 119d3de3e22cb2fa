// SPDX-License-Identifier: MIT OR Apache-2.0
/* What stands at interfaces. */
#include "mixed.h"
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/pkt_cls.h>
#include <linux/udp.h>

static __always_inline int to_blocked(void *data, void *end)
{
	struct ethhdr *ethernet = data;
	struct iphdr *ip = (void *)(ethernet + 1);
	struct udphdr *udp = (void *)(ip + 1);

	if ((void *)(udp + 1) > end || ethernet->h_proto != bpf_htons(ETH_P_IP) || ip->protocol != IPPROTO_UDP)
		return 0;
	return is_blocked(bpf_ntohs(udp->dest));
}

SEC("xdp")
int guard(struct xdp_md *ctx)
{
	count(XDP);
	return to_blocked((void *)(long)ctx->data, (void *)(long)ctx->data_end) ? XDP_DROP : XDP_PASS;
}

SEC("tcx/ingress")
int inward(struct __sk_buff *skb)
{
	count(TC_INGRESS);
	return to_blocked((void *)(long)skb->data, (void *)(long)skb->data_end) ? TC_ACT_SHOT : TC_ACT_UNSPEC;
}

SEC("tcx/egress")
int outward(struct __sk_buff *skb)
{
	count(TC_EGRESS);
	return to_blocked((void *)(long)skb->data, (void *)(long)skb->data_end) ? TC_ACT_SHOT : TC_ACT_UNSPEC;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
