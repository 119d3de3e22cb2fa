// SPDX-License-Identifier: MIT OR Apache-2.0
/* Twice in one object: NAME is what the program is called, and `count` is static in both. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

static volatile __u32 count = 1;

SEC("xdp")
int NAME(struct xdp_md *ctx)
{
	return count++ & 1;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
