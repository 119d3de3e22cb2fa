// SPDX-License-Identifier: MIT OR Apache-2.0
/* One function with two names: a manifest may ask for the program by either. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("xdp")
__attribute__((weak)) int pass(struct xdp_md *ctx)
{
	return XDP_PASS;
}

SEC("xdp")
int accept(struct xdp_md *ctx) __attribute__((alias("pass")));

char LICENSE[] SEC("license") = "Dual MIT/GPL";
