// SPDX-License-Identifier: MIT OR Apache-2.0
/* Structs of functions for the kernel: a TCP congestion control, as two versions of its struct. The members are in
 * another order than the kernel's, and it has not all of them. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

struct sock;
struct ack_sample;

struct tcp_congestion_ops {
	char name[16];
	__u32 no_such_number;
	void *owner;
	void (*no_such_function)(struct sock *sk);
	void (*init)(struct sock *sk);
	__u32 (*ssthresh)(struct sock *sk);
	void (*cong_avoid)(struct sock *sk, __u32 ack, __u32 acked);
	__u32 (*undo_cwnd)(struct sock *sk);
	__u32 flags;
};

struct tcp_congestion_ops___v2 {
	__u32 (*undo_cwnd)(struct sock *sk);
	__u32 (*ssthresh)(struct sock *sk);
	void (*cong_avoid)(struct sock *sk, __u32 ack, __u32 acked);
	char name[16];
};

__u64 calls;

static __noinline void count(void)
{
	calls++;
}

SEC("struct_ops/start")
void BPF_PROG(start, struct sock *sk)
{
	count();
}

SEC("struct_ops")
__u32 BPF_PROG(threshold, struct sock *sk)
{
	count();
	return 2;
}

SEC("struct_ops")
void BPF_PROG(avoid, struct sock *sk, __u32 ack, __u32 acked)
{
	calls += acked;
}

SEC("struct_ops/undo_cwnd")
__u32 BPF_PROG(undo, struct sock *sk)
{
	return 10;
}

SEC("xdp")
int apart(struct xdp_md *ctx)
{
	return XDP_PASS;
}

SEC(".struct_ops.link")
struct tcp_congestion_ops steady = {
	.name = "bpf_steady",
	.init = (void *)start,
	.ssthresh = (void *)threshold,
	.cong_avoid = (void *)avoid,
	.undo_cwnd = (void *)undo,
};

SEC(".struct_ops.link")
struct tcp_congestion_ops___v2 newer = {
	.name = "bpf_newer",
	.ssthresh = (void *)threshold,
	.cong_avoid = (void *)avoid,
	.undo_cwnd = (void *)undo,
};

char LICENSE[] SEC("license") = "GPL";
