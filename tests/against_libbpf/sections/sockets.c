// SPDX-License-Identifier: MIT OR Apache-2.0
/* Sockets: filters, their choice, their messages. */
#include "../small.h"

SEC("socket")
int filter(struct __sk_buff *ctx)
{
	return 0;
}

SEC("sk_reuseport")
int reuseport(struct sk_reuseport_md *ctx)
{
	return SK_PASS;
}

SEC("sk_reuseport/migrate")
int migrate(struct sk_reuseport_md *ctx)
{
	return SK_PASS;
}

SEC("sk_lookup")
int lookup(struct bpf_sk_lookup *ctx)
{
	return SK_PASS;
}

SEC("sk_skb")
int skb(struct __sk_buff *ctx)
{
	return SK_PASS;
}

SEC("sk_skb/stream_parser")
int parser(struct __sk_buff *ctx)
{
	return 0;
}

SEC("sk_skb/stream_verdict")
int verdict(struct __sk_buff *ctx)
{
	return SK_PASS;
}

SEC("sk_msg")
int message(struct sk_msg_md *ctx)
{
	return SK_PASS;
}

SEC("sockops")
int ops(struct bpf_sock_ops *ctx)
{
	return 1;
}
