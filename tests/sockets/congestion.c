// SPDX-License-Identifier: MIT OR Apache-2.0
/* A TCP congestion control that counts its calls, in two versions: built with -DVERSION=1 and -DVERSION=2. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

struct sock;

struct tcp_congestion_ops {
	char name[16];
	void (*init)(struct sock *sk);
	__u32 (*ssthresh)(struct sock *sk);
	void (*cong_avoid)(struct sock *sk, __u32 ack, __u32 acked);
	__u32 (*undo_cwnd)(struct sock *sk);
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} connections SEC(".maps");

/* Counts connections by 1 (version 1) or 1000 (version 2). */
SEC("struct_ops")
void BPF_PROG(start, struct sock *sk)
{
	__u32 key = 0;
	__u64 *count = bpf_map_lookup_elem(&connections, &key);

	if (count)
		__sync_fetch_and_add(count, VERSION == 1 ? 1 : 1000);
}

SEC("struct_ops")
__u32 BPF_PROG(threshold, struct sock *sk)
{
	return 16;
}

SEC("struct_ops")
void BPF_PROG(avoid, struct sock *sk, __u32 ack, __u32 acked)
{
}

SEC("struct_ops")
__u32 BPF_PROG(undo, struct sock *sk)
{
	return 16;
}

SEC(".struct_ops.link")
struct tcp_congestion_ops steady = {
	.name = "cc_steady",
	.init = (void *)start,
	.ssthresh = (void *)threshold,
	.cong_avoid = (void *)avoid,
	.undo_cwnd = (void *)undo,
};

/* Of the same name. */
SEC(".struct_ops.link")
struct tcp_congestion_ops twin = {
	.name = "cc_steady",
	.ssthresh = (void *)threshold,
	.cong_avoid = (void *)avoid,
	.undo_cwnd = (void *)undo,
};

SEC(".struct_ops.link")
struct tcp_congestion_ops other = {
	.name = "cc_other",
	.ssthresh = (void *)threshold,
	.cong_avoid = (void *)avoid,
	.undo_cwnd = (void *)undo,
};

char LICENSE[] SEC("license") = "GPL";
