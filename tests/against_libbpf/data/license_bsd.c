// SPDX-License-Identifier: MIT OR Apache-2.0
/* A license that is not of the kernel. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("xdp")
int pass(struct xdp_md *ctx)
{
	return XDP_PASS;
}

char text[] SEC("license") = "BSD-3-Clause";
