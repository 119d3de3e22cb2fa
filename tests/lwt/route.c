// SPDX-License-Identifier: MIT OR Apache-2.0
/* One filter for the packets of a route, at each point of their way, in two versions: built with -DVERSION=1 and
 * -DVERSION=2. Both drop datagrams to port 9, and version N those to port 10 + N. */
#include <linux/bpf.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

static __always_inline int verdict(struct __sk_buff *skb)
{
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	struct iphdr *ip = data;
	struct ipv6hdr *ip6 = data;
	struct udphdr *udp;
	__u8 protocol;
	__u16 port;

	if ((void *)(ip + 1) > end)
		return BPF_OK;
	if (ip->version == 4) {
		protocol = ip->protocol;
		udp = (void *)(ip + 1);
	} else {
		if ((void *)(ip6 + 1) > end)
			return BPF_OK;
		protocol = ip6->nexthdr;
		udp = (void *)(ip6 + 1);
	}
	if (protocol != IPPROTO_UDP || (void *)(udp + 1) > end)
		return BPF_OK;
	port = bpf_ntohs(udp->dest);
	return port == 9 || port == 10 + VERSION ? BPF_DROP : BPF_OK;
}

SEC("lwt_in")
int in(struct __sk_buff *skb)
{
	return verdict(skb);
}

SEC("lwt_out")
int out(struct __sk_buff *skb)
{
	return verdict(skb);
}

SEC("lwt_xmit")
int xmit(struct __sk_buff *skb)
{
	return verdict(skb);
}

char LICENSE[] SEC("license") = "GPL";
