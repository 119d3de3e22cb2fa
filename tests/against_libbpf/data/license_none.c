// SPDX-License-Identifier: MIT OR Apache-2.0
/* No license, and no need of one. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("xdp")
int pass(struct xdp_md *ctx)
{
	return XDP_PASS;
}
