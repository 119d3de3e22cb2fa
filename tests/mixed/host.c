// SPDX-License-Identifier: MIT OR Apache-2.0
/* What stands at sockets, and between both. */
#include "mixed.h"

struct bpf_nf_ctx;

SEC("cgroup/connect4")
int connecting(struct bpf_sock_addr *ctx)
{
	count(CONNECT4);
	return !is_blocked(bpf_ntohs(ctx->user_port));
}

SEC("sk_lookup")
int looking(struct bpf_sk_lookup *ctx)
{
	count(SK_LOOKUP);
	return is_blocked(ctx->local_port) ? SK_DROP : SK_PASS;
}

SEC("netfilter")
int filtering(struct bpf_nf_ctx *ctx)
{
	count(NETFILTER);
	return 1;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
