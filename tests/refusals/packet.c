// SPDX-License-Identifier: MIT OR Apache-2.0
// Programs that handle packets as the verifier does not let them.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <linux/if_ether.h>

SEC("xdp")
int no_end_check(struct xdp_md *ctx)
{
	struct ethhdr *eth = (void *)(long)ctx->data;

	return eth->h_proto == 8 ? XDP_DROP : XDP_PASS;
}

SEC("xdp")
int unbounded_offset(struct xdp_md *ctx)
{
	char *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	__u64 offset = bpf_ktime_get_ns();
	char *at = data + offset;

	return at + 1 > end ? XDP_PASS : *at;
}

SEC("xdp")
int after_a_move(struct xdp_md *ctx)
{
	char *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;

	if (data + 1 > end || bpf_xdp_adjust_head(ctx, 4))
		return XDP_DROP;
	return *data == 1 ? XDP_DROP : XDP_PASS;
}

SEC("cgroup_skb/ingress")
int write_where_only_read(struct __sk_buff *skb)
{
	char *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;

	if (data + 1 <= end)
		*data = 0;
	return 1;
}

SEC("xdp")
int add_to_the_end(struct xdp_md *ctx)
{
	char *end = (void *)(long)ctx->data_end;

	asm volatile("%0 += 4" : "+r"(end));
	return end[0];
}

SEC("xdp")
int mask_a_pointer(struct xdp_md *ctx)
{
	long data = ctx->data;

	asm volatile("%0 &= 15" : "+r"(data));
	return data;
}

char _license[] SEC("license") = "Dual MIT/GPL";
