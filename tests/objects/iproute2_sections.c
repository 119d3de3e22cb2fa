// SPDX-License-Identifier: MIT OR Apache-2.0
/* The section names that iproute2 gives a meaning, and the longer ones of libbpf before 1.0. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("classifier")
int classify(struct __sk_buff *skb)
{
	return -1;
}

SEC("action")
int act(struct __sk_buff *skb)
{
	return 0;
}

SEC("prog")
int on_device(struct xdp_md *ctx)
{
	return XDP_PASS;
}

SEC("classifier/named")
int classify_named(struct __sk_buff *skb)
{
	return -1;
}

SEC("action/named")
int act_named(struct __sk_buff *skb)
{
	return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
