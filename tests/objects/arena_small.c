// SPDX-License-Identifier: MIT OR Apache-2.0
/* An arena with fewer pages than its variables need. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, 33); /* BPF_MAP_TYPE_ARENA */
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
} arena SEC(".maps");

SEC(".addr_space.1") char many[5000] = {1};

SEC("xdp")
int far(struct xdp_md *ctx)
{
	return many[4999];
}

char LICENSE[] SEC("license") = "GPL";
