// SPDX-License-Identifier: MIT OR Apache-2.0
/* A congestion control, in the order of its own struct. */
#include "../small.h"

struct sock;
struct tcp_congestion_ops {
	__u32 (*ssthresh)(struct sock *sk);
	void (*cong_avoid)(struct sock *sk, __u32 ack, __u32 acked);
	__u32 (*undo_cwnd)(struct sock *sk);
	void (*init)(struct sock *sk);
	__u32 flags;
	char name[16];
};

SEC("struct_ops/ssthresh")
__u32 ssthresh(__u64 *ctx)
{
	return 10;
}

SEC("struct_ops/avoid")
void avoid(__u64 *ctx)
{
	asm volatile("");
}

SEC("struct_ops/undo")
__u32 undo(__u64 *ctx)
{
	return 7;
}

SEC(".struct_ops")
struct tcp_congestion_ops control = {
	.ssthresh = (void *)ssthresh,
	.cong_avoid = (void *)avoid,
	.undo_cwnd = (void *)undo,
	.name = "bpf_small",
};
