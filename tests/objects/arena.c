// SPDX-License-Identifier: MIT OR Apache-2.0
/* An arena, and a struct_ops program, which are not supported yet; and a program that has nothing to do with them. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, 33); /* BPF_MAP_TYPE_ARENA */
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
} arena SEC(".maps");

SEC("xdp")
int shares(struct xdp_md *ctx)
{
	return bpf_map_lookup_elem(&arena, &(__u32){0}) ? XDP_PASS : XDP_DROP;
}

SEC("xdp")
int alone(struct xdp_md *ctx)
{
	return XDP_PASS;
}

SEC("struct_ops/init")
int init(__u64 *ctx)
{
	return 0;
}

struct tcp_congestion_ops {
	void *init;
	char name[16];
};

SEC(".struct_ops")
struct tcp_congestion_ops ops = {
	.init = init,
	.name = "none",
};

char LICENSE[] SEC("license") = "GPL";
