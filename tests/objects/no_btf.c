// SPDX-License-Identifier: MIT OR Apache-2.0
/* Globals and a subprogram, compiled without -g: no BTF, and the object loads all the same. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

const volatile __u32 limit = 100;
volatile __u64 seen;

static __noinline int over(__u32 length)
{
	seen += 1;
	return length > limit;
}

SEC("xdp")
int check(struct xdp_md *ctx)
{
	return over(ctx->data_end - ctx->data) ? XDP_DROP : XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
