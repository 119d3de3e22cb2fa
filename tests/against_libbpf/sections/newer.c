// SPDX-License-Identifier: MIT OR Apache-2.0
/* Names that libbpf learned with later versions. */
#include "../small.h"

struct bpf_nf_ctx;

SEC("tcx/ingress")
int tcx_in(struct __sk_buff *ctx)
{
	return 0;
}

SEC("tcx/egress")
int tcx_out(struct __sk_buff *ctx)
{
	return 0;
}

SEC("netkit/primary")
int netkit_near(struct __sk_buff *ctx)
{
	return 0;
}

SEC("netkit/peer")
int netkit_far(struct __sk_buff *ctx)
{
	return 0;
}

SEC("netfilter")
int hook(struct bpf_nf_ctx *ctx)
{
	return 1;
}

SEC("cgroup/connect_unix")
int connect_unix(struct bpf_sock_addr *ctx)
{
	return 1;
}

SEC("cgroup/sendmsg_unix")
int sendmsg_unix(struct bpf_sock_addr *ctx)
{
	return 1;
}

SEC("cgroup/recvmsg_unix")
int recvmsg_unix(struct bpf_sock_addr *ctx)
{
	return 1;
}

SEC("cgroup/getpeername_unix")
int getpeername_unix(struct bpf_sock_addr *ctx)
{
	return 1;
}

SEC("cgroup/getsockname_unix")
int getsockname_unix(struct bpf_sock_addr *ctx)
{
	return 1;
}

SEC("uprobe.multi//bin/true:*")
int uprobes(void *ctx)
{
	return 0;
}

SEC("uretprobe.multi//bin/true:*")
int uretprobes(void *ctx)
{
	return 0;
}

SEC("uprobe.multi.s//bin/true:*")
int uprobes_sleepable(void *ctx)
{
	return 0;
}

SEC("kprobe.session/tcp_*")
int session(void *ctx)
{
	return 0;
}

SEC("uprobe.session//bin/true:*")
int user_session(void *ctx)
{
	return 0;
}

SEC("sk_skb/verdict")
int verdict(struct __sk_buff *ctx)
{
	return SK_PASS;
}
