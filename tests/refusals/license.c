// SPDX-License-Identifier: MIT OR Apache-2.0
// A program that calls what the kernel keeps for GPL programs.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("xdp")
int prints(struct xdp_md *ctx)
{
	bpf_printk("a packet");
	return XDP_PASS;
}

char _license[] SEC("license") = "Proprietary";
