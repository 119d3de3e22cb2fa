// SPDX-License-Identifier: MIT OR Apache-2.0
/* Constants that no code names: `bpftool prog show` tells them of each program that holds their map. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

const char bpf_metadata_author[] SEC(".rodata") = "somebody";
const int bpf_metadata_version SEC(".rodata") = 7;

int seen;

SEC("xdp")
int pass(struct xdp_md *ctx)
{
	return XDP_PASS;
}

SEC("xdp")
int count(struct xdp_md *ctx)
{
	seen++;
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
