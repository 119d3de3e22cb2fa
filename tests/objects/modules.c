// SPDX-License-Identifier: MIT OR Apache-2.0
/* What the module nf_conntrack has, and the kernel itself has not: functions, types and targets. */
#include <linux/bpf.h>
#include <linux/types.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

struct nf_conn {
	unsigned long status;
} __attribute__((preserve_access_index));

/* All of `struct bpf_ct_opts` before 6.9; the kernel looks at the size that is passed. */
struct bpf_ct_opts___old {
	__s32 netns_id;
	__s32 error;
	__u8 l4proto;
	__u8 dir;
	__u8 reserved[2];
};

extern struct nf_conn *bpf_xdp_ct_lookup(struct xdp_md *, struct bpf_sock_tuple *, __u32, struct bpf_ct_opts___old *,
					 __u32) __ksym;
extern struct nf_conn *bpf_skb_ct_lookup(struct __sk_buff *, struct bpf_sock_tuple *, __u32,
					 struct bpf_ct_opts___old *, __u32) __ksym;
extern void bpf_ct_release(struct nf_conn *) __ksym;
extern void no_such_function(void) __ksym __weak;

__u64 seen;

SEC("xdp")
int look(struct xdp_md *ctx)
{
	struct bpf_sock_tuple tuple = {};
	struct bpf_ct_opts___old opts = { .netns_id = -1, .l4proto = 17 };
	struct nf_conn *conn = bpf_xdp_ct_lookup(ctx, &tuple, sizeof tuple.ipv4, &opts, sizeof opts);

	if (no_such_function)
		seen++;
	if (conn) {
		seen += conn->status;
		bpf_ct_release(conn);
	}
	return XDP_PASS;
}

SEC("tc")
int look_tc(struct __sk_buff *skb)
{
	struct bpf_sock_tuple tuple = {};
	struct bpf_ct_opts___old opts = { .netns_id = -1, .l4proto = 17 };
	struct nf_conn *conn = bpf_skb_ct_lookup(skb, &tuple, sizeof tuple.ipv4, &opts, sizeof opts);

	if (conn)
		bpf_ct_release(conn);
	return 0;
}

/* Only the module has this struct. */
struct nf_conntrack_net {
	unsigned int users4;
} __attribute__((preserve_access_index));

SEC("raw_tp/sched_switch")
int sizes(void *ctx)
{
	struct nf_conntrack_net *net = 0;

	seen = bpf_core_type_size(struct nf_conntrack_net) + bpf_core_field_offset(net->users4);
	return 0;
}

SEC("fentry/nf_conntrack_in")
int entered(void *ctx)
{
	seen++;
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
