// SPDX-License-Identifier: MIT OR Apache-2.0
/* Section names that are younger than libbpf 1.1. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("netfilter")
int filter(void *ctx)
{
	return 1; /* NF_ACCEPT */
}

SEC("tcx/ingress")
int on_ingress(struct __sk_buff *skb)
{
	return -1;
}

SEC("tcx/egress")
int on_egress(struct __sk_buff *skb)
{
	return -1;
}

SEC("netkit/primary")
int on_primary(struct __sk_buff *skb)
{
	return -1;
}

SEC("netkit/peer")
int on_peer(struct __sk_buff *skb)
{
	return -1;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
