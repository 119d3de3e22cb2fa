// SPDX-License-Identifier: MIT OR Apache-2.0
/* No license section: to the kernel this is not GPL compatible. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("xdp")
int pass(struct xdp_md *ctx)
{
	return XDP_PASS;
}

/* Calls a helper that is for GPL compatible programs only. */
SEC("xdp")
int speak(struct xdp_md *ctx)
{
	char text[4] = {};

	bpf_trace_printk(text, sizeof(text));
	return XDP_PASS;
}
