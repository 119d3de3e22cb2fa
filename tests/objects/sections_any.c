// SPDX-License-Identifier: MIT OR Apache-2.0
/* Section names that begin with a known word and go on as they like: libbpf before 1.0 and cilium/ebpf take them. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("xdp_sock")
int to_socket(struct xdp_md *ctx)
{
	return XDP_PASS;
}

SEC("xdp_devmap_log")
int log_frame(struct xdp_md *ctx)
{
	return XDP_PASS;
}

SEC("socket1")
int first(struct __sk_buff *skb)
{
	return 0;
}

SEC("classifier-egress")
int shape(struct __sk_buff *skb)
{
	return -1;
}

SEC("cgroup/connect4/proxy")
int redirect(struct bpf_sock_addr *ctx)
{
	return 1;
}

SEC("kprobes")
int not_a_word(void *ctx)
{
	return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
