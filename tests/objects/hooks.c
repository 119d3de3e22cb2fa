// SPDX-License-Identifier: MIT OR Apache-2.0
/* Programs for the hooks that sections.c and sections_new.c leave out. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#define PROGRAM(section, name, context, result) \
	SEC(section) int name(context *ctx) { return result; }

PROGRAM("classifier", classify, struct __sk_buff, -1)
PROGRAM("action", act, struct __sk_buff, 0)
PROGRAM("sk_skb", skb_any, struct __sk_buff, SK_PASS)
PROGRAM("sk_skb/verdict", skb_verdict, struct __sk_buff, SK_PASS)
PROGRAM("sk_reuseport/migrate", migrate, struct sk_reuseport_md, SK_PASS)
PROGRAM("cgroup/sock", sock, struct bpf_sock, 1)
PROGRAM("cgroup/sock_release", sock_release, struct bpf_sock, 1)
PROGRAM("cgroup/post_bind6", post_bind6, struct bpf_sock, 1)
PROGRAM("cgroup/bind6", bind6, struct bpf_sock_addr, 1)
PROGRAM("cgroup/sendmsg6", sendmsg6, struct bpf_sock_addr, 1)
PROGRAM("cgroup/recvmsg4", recvmsg4, struct bpf_sock_addr, 1)
PROGRAM("cgroup/recvmsg6", recvmsg6, struct bpf_sock_addr, 1)
PROGRAM("cgroup/getpeername4", getpeername4, struct bpf_sock_addr, 1)
PROGRAM("cgroup/getpeername6", getpeername6, struct bpf_sock_addr, 1)
PROGRAM("cgroup/getsockname4", getsockname4, struct bpf_sock_addr, 1)
PROGRAM("cgroup/getsockname6", getsockname6, struct bpf_sock_addr, 1)
PROGRAM("cgroup/setsockopt", setsockopt, struct bpf_sockopt, 1)
PROGRAM("tp/sched/sched_switch", tp_switch, void, 0)
PROGRAM("raw_tracepoint/sched_switch", raw_switch, struct bpf_raw_tracepoint_args, 0)
PROGRAM("kprobe", probe_any, void, 0)
PROGRAM("kretprobe/tcp_connect", probe_return, void, 0)
PROGRAM("kprobe.multi/tcp_*", probe_many, void, 0)
PROGRAM("ksyscall/openat", probe_call, void, 0)
PROGRAM("uprobe/no/such:file", probe_user, void, 0)
PROGRAM("uretprobe", probe_user_return, void, 0)

char LICENSE[] SEC("license") = "GPL";
