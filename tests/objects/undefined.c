// SPDX-License-Identifier: MIT OR Apache-2.0
/* Calls a function that no object defines: an error, never a call of itself. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

int missing(struct xdp_md *ctx);

SEC("xdp")
int lost(struct xdp_md *ctx)
{
	return missing(ctx) + missing(ctx);
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
