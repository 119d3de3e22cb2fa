// SPDX-License-Identifier: MIT OR Apache-2.0
/* Structs of functions that this kernel, or no kernel, takes; and programs that have nothing to do with them. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct tcp_congestion_ops {
	__u32 (*ssthresh)(void *sk);
	char name[16];
	__u32 (*no_such_function)(void *sk);
	__u32 no_such_number;
	void *owner;
};

struct tcp_congestion_ops___short {
	__u32 (*ssthresh)(void *sk);
	char name[8];
	__u32 (*undo_cwnd)(void *sk);
};

struct no_such_ops {
	int (*call)(void *context);
};

struct tcp_congestion_ops___bits {
	__u32 flags : 4;
	__u32 (*key)(void *sk);
};

/* In a section of several functions, and static: libbpf takes no static programs. */
SEC("struct_ops")
static int threshold(__u64 *ctx)
{
	return 2;
}

SEC("struct_ops")
int twice(__u64 *ctx)
{
	return 2;
}

SEC("struct_ops/missing")
int missing(__u64 *ctx)
{
	return 0;
}

SEC("struct_ops/unknown")
int unknown(__u64 *ctx)
{
	return 0;
}

SEC("struct_ops/number")
int number(__u64 *ctx)
{
	return 0;
}

SEC("struct_ops.s/unused")
int unused(__u64 *ctx)
{
	return 0;
}

SEC("xdp")
int apart(struct xdp_md *ctx)
{
	return XDP_PASS;
}

SEC("?.struct_ops.link")
struct tcp_congestion_ops good = {
	.name = "bpf_good",
	.ssthresh = (void *)threshold,
};

SEC(".struct_ops.link")
struct tcp_congestion_ops function_too_many = {
	.name = "bpf_bad",
	.no_such_function = (void *)missing,
};

SEC(".struct_ops.link")
struct tcp_congestion_ops number_too_many = {
	.name = "bpf_bad",
	.no_such_number = 1,
};

SEC(".struct_ops.link")
struct tcp_congestion_ops data_as_pointer = {
	.name = "bpf_bad",
	.owner = &number_too_many,
};

SEC(".struct_ops.link")
struct tcp_congestion_ops number_as_pointer = {
	.name = "bpf_bad",
	.owner = (void *)1,
};

SEC(".struct_ops.link")
struct tcp_congestion_ops___short other_size = {
	.name = "bpf_bad",
	.ssthresh = (void *)twice,
	.undo_cwnd = (void *)twice,
};

SEC("?.struct_ops")
struct no_such_ops other_struct = {
	.call = (void *)unknown,
};

SEC(".struct_ops.link")
struct tcp_congestion_ops___bits bits = {
	.flags = 1,
	.key = (void *)number,
};

SEC(".struct_ops.link")
int no_struct = 7;

char LICENSE[] SEC("license") = "GPL";
