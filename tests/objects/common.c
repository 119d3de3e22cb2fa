// SPDX-License-Identifier: MIT OR Apache-2.0
/* A variable that `-fcommon` leaves to a linker: it lies in no section, and so in no map. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

int counter;

SEC("xdp")
int count(struct xdp_md *ctx)
{
	counter++;
	return XDP_PASS;
}

SEC("xdp")
int pass(struct xdp_md *ctx)
{
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
