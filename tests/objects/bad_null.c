// SPDX-License-Identifier: MIT OR Apache-2.0
/* Uses what a lookup returned without a test for null: the verifier refuses it. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} counts SEC(".maps");

static __noinline int add(__u32 key)
{
	__u64 *n = bpf_map_lookup_elem(&counts, &key);

	*n += 1;
	return 0;
}

SEC("xdp")
int unchecked(struct xdp_md *ctx)
{
	add(ctx->data_end - ctx->data);
	return XDP_PASS;
}

SEC("xdp")
int harmless(struct xdp_md *ctx)
{
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
