// SPDX-License-Identifier: MIT OR Apache-2.0
/* Filters that send frames elsewhere, and maps that hold what the manifest names. STEP tells two versions apart. */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, __u64);
} seen SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, struct bpf_devmap_val);
} tx SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_CPUMAP);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct bpf_cpumap_val);
} cpus SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, __u32);
} calls SEC(".maps");

struct inner {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH_OF_MAPS);
	__uint(max_entries, 8);
	__type(key, __be32);
	__array(values, struct inner);
} tenants SEC(".maps");

static __always_inline void count(__u32 place)
{
	__u64 *counter = bpf_map_lookup_elem(&seen, &place);

	if (counter)
		__sync_fetch_and_add(counter, STEP);
}

static __always_inline struct iphdr *ipv4(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = data;
	struct iphdr *ip = data + sizeof(*eth);

	if ((void *)(ip + 1) > end || eth->h_proto != bpf_htons(ETH_P_IP))
		return 0;
	return ip;
}

SEC("xdp")
int forward(struct xdp_md *ctx)
{
	return ipv4(ctx) ? bpf_redirect_map(&tx, 0, XDP_DROP) : XDP_PASS;
}

SEC("xdp/devmap")
int leaving(struct xdp_md *ctx)
{
	if (ipv4(ctx))
		count(0);
	return XDP_PASS;
}

SEC("xdp")
int arrived(struct xdp_md *ctx)
{
	if (ipv4(ctx))
		count(1);
	return XDP_PASS;
}

SEC("xdp")
int steer(struct xdp_md *ctx)
{
	return ipv4(ctx) ? bpf_redirect_map(&cpus, 0, XDP_DROP) : XDP_PASS;
}

SEC("xdp/cpumap")
int steered(struct xdp_md *ctx)
{
	count(2);
	return XDP_PASS;
}

SEC("xdp")
int pick(struct xdp_md *ctx)
{
	bpf_tail_call(ctx, &calls, 0);
	return XDP_ABORTED;
}

SEC("xdp")
int one(struct xdp_md *ctx)
{
	return XDP_DROP;
}

SEC("xdp")
int two(struct xdp_md *ctx)
{
	return XDP_PASS;
}

SEC("xdp")
int tenant(struct xdp_md *ctx)
{
	struct iphdr *ip = ipv4(ctx);
	__u32 zero = 0, addr;
	__u64 *counter;
	void *inner;

	if (!ip)
		return XDP_ABORTED;
	addr = ip->saddr;
	inner = bpf_map_lookup_elem(&tenants, &addr);
	if (!inner)
		return XDP_DROP;
	counter = bpf_map_lookup_elem(inner, &zero);
	if (counter)
		__sync_fetch_and_add(counter, 1);
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "GPL";
