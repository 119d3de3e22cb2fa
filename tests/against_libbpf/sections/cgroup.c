// SPDX-License-Identifier: MIT OR Apache-2.0
/* What else a cgroup decides. */
#include "../small.h"

SEC("cgroup_skb/ingress")
int ingress(struct __sk_buff *ctx)
{
	return 1;
}

SEC("cgroup_skb/egress")
int egress(struct __sk_buff *ctx)
{
	return 1;
}

SEC("cgroup/skb")
int skb(struct __sk_buff *ctx)
{
	return 1;
}

SEC("cgroup/sock_create")
int create(struct bpf_sock *ctx)
{
	return 1;
}

SEC("cgroup/sock_release")
int release(struct bpf_sock *ctx)
{
	return 1;
}

SEC("cgroup/sock")
int sock(struct bpf_sock *ctx)
{
	return 1;
}

SEC("cgroup/post_bind4")
int bound4(struct bpf_sock *ctx)
{
	return 1;
}

SEC("cgroup/post_bind6")
int bound6(struct bpf_sock *ctx)
{
	return 1;
}

SEC("cgroup/dev")
int device(struct bpf_cgroup_dev_ctx *ctx)
{
	return 1;
}

SEC("cgroup/sysctl")
int sysctl(struct bpf_sysctl *ctx)
{
	return 1;
}

SEC("cgroup/getsockopt")
int getsockopt(struct bpf_sockopt *ctx)
{
	return 1;
}

SEC("cgroup/setsockopt")
int setsockopt(struct bpf_sockopt *ctx)
{
	return 1;
}
