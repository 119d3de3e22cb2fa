// SPDX-License-Identifier: MIT OR Apache-2.0
/* Two arenas that say their addresses, so that nobody can tell which of them a variable lies in. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, 33); /* BPF_MAP_TYPE_ARENA */
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	enum { first_address = 1 << 30 } map_extra; /* as `__ulong` of newer headers */
} first SEC(".maps");

struct {
	__uint(type, 33); /* BPF_MAP_TYPE_ARENA */
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__uint(map_extra, 1 << 29);
} second SEC(".maps");

SEC(".addr_space.1") __u64 number = 1;

SEC("xdp")
int fixed(struct xdp_md *ctx)
{
	asm volatile("r0 = %[map] ll" : : [map] "i"(&first) : "r0");
	return XDP_PASS;
}

SEC("xdp")
int stray(struct xdp_md *ctx)
{
	return number;
}

char LICENSE[] SEC("license") = "GPL";
