// SPDX-License-Identifier: MIT OR Apache-2.0
/* Sockets that messages go to, by index and by key. */
#include "../small.h"

struct {
	__uint(type, BPF_MAP_TYPE_SOCKMAP);
	__uint(max_entries, 16);
	__type(key, __u32);
	__type(value, __u64);
} by_index SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_SOCKHASH);
	__uint(max_entries, 16);
	__type(key, __u64);
	__type(value, __u32);
} by_key SEC(".maps");

SEC("sk_msg")
int message(struct sk_msg_md *msg)
{
	return bpf_msg_redirect_map(msg, &by_index, 0, BPF_F_INGRESS);
}

SEC("sk_skb/stream_verdict")
int packet(struct __sk_buff *skb)
{
	__u64 key = skb->local_port;

	return bpf_sk_redirect_hash(skb, &by_key, &key, 0);
}

SEC("sockops")
int join(struct bpf_sock_ops *ops)
{
	__u64 key = ops->local_port;

	bpf_sock_hash_update(ops, &by_key, &key, BPF_NOEXIST);
	return 0;
}
