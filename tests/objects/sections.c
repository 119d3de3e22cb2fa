// SPDX-License-Identifier: MIT OR Apache-2.0
/* One program for each common section name. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#define PROGRAM(section, name, context, result) \
	SEC(section) int name(context *ctx) { return result; }

PROGRAM("xdp", xdp_plain, struct xdp_md, XDP_PASS)
PROGRAM("xdp.frags", xdp_frags, struct xdp_md, XDP_PASS)
PROGRAM("xdp/devmap", xdp_devmap, struct xdp_md, XDP_PASS)
PROGRAM("xdp/cpumap", xdp_cpumap, struct xdp_md, XDP_PASS)
PROGRAM("tc", tc_plain, struct __sk_buff, -1)
PROGRAM("socket", socket_plain, struct __sk_buff, 0)
PROGRAM("cgroup/skb", skb_any, struct __sk_buff, 1)
PROGRAM("cgroup_skb/ingress", skb_in, struct __sk_buff, 1)
PROGRAM("cgroup_skb/egress", skb_out, struct __sk_buff, 1)
PROGRAM("cgroup/sock_create", sock_create, struct bpf_sock, 1)
PROGRAM("cgroup/post_bind4", post_bind4, struct bpf_sock, 1)
PROGRAM("cgroup/bind4", bind4, struct bpf_sock_addr, 1)
PROGRAM("cgroup/connect4", connect4, struct bpf_sock_addr, 1)
PROGRAM("cgroup/connect6", connect6, struct bpf_sock_addr, 1)
PROGRAM("cgroup/sendmsg4", sendmsg4, struct bpf_sock_addr, 1)
PROGRAM("cgroup/getsockopt", getsockopt, struct bpf_sockopt, 1)
PROGRAM("cgroup/sysctl", sysctl, struct bpf_sysctl, 1)
PROGRAM("cgroup/dev", device, struct bpf_cgroup_dev_ctx, 1)
PROGRAM("sockops", sock_ops, struct bpf_sock_ops, 1)
PROGRAM("sk_lookup", on_lookup, struct bpf_sk_lookup, SK_PASS)
PROGRAM("sk_msg", on_message, struct sk_msg_md, SK_PASS)
PROGRAM("sk_skb/stream_parser", skb_parser, struct __sk_buff, 0)
PROGRAM("sk_skb/stream_verdict", skb_verdict, struct __sk_buff, SK_PASS)
PROGRAM("sk_reuseport", reuseport, struct sk_reuseport_md, SK_PASS)
PROGRAM("flow_dissector", dissect, struct __sk_buff, 0)
PROGRAM("lwt_in", on_lwt_in, struct __sk_buff, 0)
PROGRAM("lwt_out", on_lwt_out, struct __sk_buff, 0)
PROGRAM("lwt_xmit", on_lwt_xmit, struct __sk_buff, 0)
PROGRAM("lwt_seg6local", on_lwt_seg6, struct __sk_buff, 0)
PROGRAM("tracepoint/syscalls/sys_enter_openat", tp_open, void, 0)
PROGRAM("raw_tp/sched_switch", raw_switch, struct bpf_raw_tracepoint_args, 0)
PROGRAM("kprobe/tcp_connect", on_connect, void, 0)
PROGRAM("perf_event", on_perf, void, 0)

char LICENSE[] SEC("license") = "Dual MIT/GPL";
