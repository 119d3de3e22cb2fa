// SPDX-License-Identifier: MIT OR Apache-2.0
/* Filters that drop everything (built with -DVERSION=1) or nothing (-DVERSION=2). */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>

struct bpf_nf_ctx;

SEC("xdp")
int first(struct xdp_md *ctx)
{
	return VERSION == 1 ? XDP_DROP : XDP_PASS;
}

SEC("tc")
int second(struct __sk_buff *skb)
{
	return VERSION == 1 ? TC_ACT_SHOT : TC_ACT_UNSPEC;
}

SEC("netfilter")
int third(struct bpf_nf_ctx *ctx)
{
	return VERSION == 1 ? 0 : 1;
}

SEC("cgroup_skb/ingress")
int fourth(struct __sk_buff *skb)
{
	return VERSION == 1 ? 0 : 1;
}

char LICENSE[] SEC("license") = "GPL";
