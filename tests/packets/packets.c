// SPDX-License-Identifier: MIT OR Apache-2.0
/* Programs of every type that the kernel runs for a test, and one that it does not. */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

struct prefix {
	__u32 bits;
	__u32 address;
};

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 16);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct prefix);
	__type(value, __u32);
} blocklist SEC(".maps");

struct count {
	__u64 packets;
	__u64 bytes;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, struct count);
} counts SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16);
	__type(key, __u32);
	__type(value, __u64);
} seen SEC(".maps");

static __always_inline void count(__u32 which, __u64 bytes)
{
	struct count *count = bpf_map_lookup_elem(&counts, &which);

	if (count) {
		count->packets++;
		count->bytes += bytes;
	}
}

/* Drops what is blocked, lowers the TTL of what is not, and counts both. */
SEC("xdp")
int filter(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = data;
	struct iphdr *ip = data + sizeof(*eth);
	struct prefix key = { .bits = 32 };
	__u64 one = 1;

	if ((void *)(ip + 1) > end || eth->h_proto != bpf_htons(ETH_P_IP))
		return XDP_PASS;
	key.address = ip->saddr;
	if (bpf_map_lookup_elem(&blocklist, &key)) {
		count(0, end - data);
		bpf_map_update_elem(&seen, &key.address, &one, BPF_ANY);
		return XDP_DROP;
	}
	count(1, end - data);
	ip->ttl--;
	return XDP_TX;
}

/* Takes the header of Ethernet away. */
SEC("xdp")
int strip(struct xdp_md *ctx)
{
	return bpf_xdp_adjust_head(ctx, sizeof(struct ethhdr)) ? XDP_ABORTED : XDP_PASS;
}

SEC("xdp")
int interface(struct xdp_md *ctx)
{
	return ctx->ingress_ifindex == 1 ? XDP_PASS : XDP_DROP;
}

/* Gives packets of mark 7 a priority, and drops the others. */
SEC("tc")
int classify(struct __sk_buff *skb)
{
	if (skb->mark != 7)
		return TC_ACT_SHOT;
	skb->priority = skb->ifindex;
	skb->mark = 8;
	return TC_ACT_OK;
}

SEC("cgroup_skb/egress")
int egress(struct __sk_buff *skb)
{
	return skb->len > 100 ? 0 : 1;
}

SEC("socket")
int whole(struct __sk_buff *skb)
{
	return skb->protocol == bpf_htons(ETH_P_IPV6) ? skb->len : 0;
}

SEC("lwt_in")
int route(struct __sk_buff *skb)
{
	return skb->len > 100 ? BPF_DROP : BPF_OK;
}

SEC("sk_lookup")
int lookup(struct bpf_sk_lookup *ctx)
{
	int is_wanted = ctx->local_port == 8080 && ctx->remote_ip4 == bpf_htonl(0x0a010203);

	return is_wanted ? SK_PASS : SK_DROP;
}

SEC("flow_dissector")
int dissect(struct __sk_buff *skb)
{
	return skb->flow_keys->n_proto == bpf_htons(ETH_P_IP) ? BPF_OK : BPF_DROP;
}


struct bpf_nf_ctx {
	const struct nf_hook_state *state;
	struct sk_buff *skb;
} __attribute__((preserve_access_index));

struct nf_hook_state {
	__u8 hook;
	__u8 pf;
} __attribute__((preserve_access_index));

/* Takes IPv6 at the hook for output, and IPv4 anywhere else. */
SEC("netfilter")
int hook(struct bpf_nf_ctx *ctx)
{
	int is_output = ctx->state->hook == 3, is_ipv6 = ctx->state->pf == 10;

	return is_output == is_ipv6;
}

SEC("sockops")
int options(struct bpf_sock_ops *ctx)
{
	return 1;
}

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} next SEC(".maps");

/* What the program in the slot says. */
SEC("xdp")
int jump(struct xdp_md *ctx)
{
	bpf_tail_call(ctx, &next, 0);
	return XDP_ABORTED;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
