// SPDX-License-Identifier: MIT OR Apache-2.0
/* Programs for hooks of network namespaces, each in two versions: built with -DVERSION=1 and -DVERSION=2. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct bpf_nf_ctx;

struct {
	__uint(type, BPF_MAP_TYPE_SOCKMAP);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} server SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} dissected SEC(".maps");

/* Leads connections to port 7 (version 1) or 8 (version 2) to the one socket. */
SEC("sk_lookup")
int steer(struct bpf_sk_lookup *ctx)
{
	__u32 key = 0;
	struct bpf_sock *sk;
	long error;

	if (ctx->local_port != 6 + VERSION)
		return SK_PASS;
	sk = bpf_map_lookup_elem(&server, &key);
	if (!sk)
		return SK_PASS;
	error = bpf_sk_assign(ctx, sk, 0);
	bpf_sk_release(sk);
	return error ? SK_DROP : SK_PASS;
}

/* Counts by 1 (version 1) or 1000 (version 2), and says that all was found. */
SEC("flow_dissector")
int dissect(struct __sk_buff *skb)
{
	__u32 key = 0;
	__u64 *count = bpf_map_lookup_elem(&dissected, &key);

	if (count)
		__sync_fetch_and_add(count, VERSION == 1 ? 1 : 1000);
	return BPF_OK;
}

/* Drops (version 1) or accepts (version 2). */
SEC("netfilter")
int filter(struct bpf_nf_ctx *ctx)
{
	return VERSION == 1 ? 0 : 1;
}

char LICENSE[] SEC("license") = "GPL";
