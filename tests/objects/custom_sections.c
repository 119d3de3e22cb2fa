// SPDX-License-Identifier: MIT OR Apache-2.0
/* Section names that say no type: the manifest has to. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("my_filter")
int filter(struct xdp_md *ctx)
{
	return XDP_PASS;
}

SEC("ingress")
int on_ingress(struct __sk_buff *skb)
{
	return -1;
}

SEC("egress")
int on_egress(struct __sk_buff *skb)
{
	return -1;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
