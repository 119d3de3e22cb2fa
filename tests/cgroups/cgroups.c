// SPDX-License-Identifier: MIT OR Apache-2.0
/* A program for each hook of a cgroup, in two versions: built with -DVERSION=1 and -DVERSION=2. Each counts how often it
 * ran, by 1 (version 1) or by 1000 (version 2), and lets everything be.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} ran SEC(".maps");

static __always_inline int count(void)
{
	__u32 key = 0;
	__u64 *value = bpf_map_lookup_elem(&ran, &key);

	if (value)
		__sync_fetch_and_add(value, VERSION == 1 ? 1 : 1000);
	return 1;
}

#define HOOK(section, name, context) \
	SEC(section) int name(context *ctx) { return count(); }

HOOK("cgroup_skb/ingress", ingress, struct __sk_buff)
HOOK("cgroup_skb/egress", egress, struct __sk_buff)
HOOK("cgroup/sock_create", sock_create, struct bpf_sock)
HOOK("cgroup/sock_release", sock_release, struct bpf_sock)
HOOK("cgroup/post_bind4", post_bind4, struct bpf_sock)
HOOK("cgroup/post_bind6", post_bind6, struct bpf_sock)
HOOK("cgroup/bind4", bind4, struct bpf_sock_addr)
HOOK("cgroup/bind6", bind6, struct bpf_sock_addr)
HOOK("cgroup/connect4", connect4, struct bpf_sock_addr)
HOOK("cgroup/connect6", connect6, struct bpf_sock_addr)
HOOK("cgroup/connect_unix", connect_unix, struct bpf_sock_addr)
HOOK("cgroup/sendmsg4", sendmsg4, struct bpf_sock_addr)
HOOK("cgroup/sendmsg6", sendmsg6, struct bpf_sock_addr)
HOOK("cgroup/sendmsg_unix", sendmsg_unix, struct bpf_sock_addr)
HOOK("cgroup/recvmsg4", recvmsg4, struct bpf_sock_addr)
HOOK("cgroup/recvmsg6", recvmsg6, struct bpf_sock_addr)
HOOK("cgroup/recvmsg_unix", recvmsg_unix, struct bpf_sock_addr)
HOOK("cgroup/getpeername4", getpeername4, struct bpf_sock_addr)
HOOK("cgroup/getpeername6", getpeername6, struct bpf_sock_addr)
HOOK("cgroup/getpeername_unix", getpeername_unix, struct bpf_sock_addr)
HOOK("cgroup/getsockname4", getsockname4, struct bpf_sock_addr)
HOOK("cgroup/getsockname6", getsockname6, struct bpf_sock_addr)
HOOK("cgroup/getsockname_unix", getsockname_unix, struct bpf_sock_addr)
HOOK("cgroup/getsockopt", getsockopt, struct bpf_sockopt)
HOOK("cgroup/setsockopt", setsockopt, struct bpf_sockopt)
HOOK("cgroup/sysctl", sysctl, struct bpf_sysctl)
HOOK("cgroup/dev", device, struct bpf_cgroup_dev_ctx)
HOOK("sockops", sock_ops, struct bpf_sock_ops)
HOOK("lsm_cgroup/socket_create", lsm, __u64)

char LICENSE[] SEC("license") = "GPL";
