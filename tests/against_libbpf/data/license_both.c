// SPDX-License-Identifier: MIT OR Apache-2.0
/* A license of two. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("xdp")
int pass(struct xdp_md *ctx)
{
	return bpf_ktime_get_ns() ? XDP_PASS : XDP_DROP;
}

char text[] SEC("license") = "Dual BSD/GPL";
