// SPDX-License-Identifier: MIT OR Apache-2.0
/* Counts what arrives at an interface, and passes it. Defines the shared map. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include "count.h"

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, HOOKS);
	__type(key, enum hook);
	__type(value, struct traffic);
} traffic SEC(".maps");

/* One packet in this many is counted. The manifest sets it. */
const volatile __u32 sample_rate = 64;

SEC("xdp")
int count_xdp(struct xdp_md *ctx)
{
	if (sample_rate > 1 && bpf_get_prandom_u32() % sample_rate)
		return XDP_PASS;
	count(&traffic, HOOK_XDP, ctx->data_end - ctx->data);
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
