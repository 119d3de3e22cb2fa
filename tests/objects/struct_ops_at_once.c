// SPDX-License-Identifier: MIT OR Apache-2.0
/* A struct of functions that the kernel registers as soon as it is filled, as every libbpf knows it. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct tcp_congestion_ops {
	__u32 (*ssthresh)(void *sk);
	void (*cong_avoid)(void *sk, __u32 ack, __u32 acked);
	__u32 (*undo_cwnd)(void *sk);
	char name[16];
};

__u64 calls;

static __noinline __u32 count(__u32 what)
{
	calls += what;
	return what;
}

SEC("struct_ops/threshold")
int threshold(__u64 *ctx)
{
	return count(2);
}

SEC("struct_ops/avoid")
int avoid(__u64 *ctx)
{
	count(ctx[2]);
	return 0;
}

SEC("struct_ops/undo")
int undo(__u64 *ctx)
{
	return 10;
}

SEC(".struct_ops")
struct tcp_congestion_ops at_once = {
	.name = "bpf_at_once",
	.ssthresh = (void *)threshold,
	.cong_avoid = (void *)avoid,
	.undo_cwnd = (void *)undo,
};

char LICENSE[] SEC("license") = "GPL";
