// SPDX-License-Identifier: MIT OR Apache-2.0
/* A lock in a map, which the kernel finds by the BTF that it refuses here: the program cannot be loaded. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct s0 { int value; };
#define NEST(outer, inner) struct outer { struct inner inside; }
NEST(s1, s0); NEST(s2, s1); NEST(s3, s2); NEST(s4, s3); NEST(s5, s4); NEST(s6, s5); NEST(s7, s6); NEST(s8, s7);
NEST(s9, s8); NEST(s10, s9); NEST(s11, s10); NEST(s12, s11); NEST(s13, s12); NEST(s14, s13); NEST(s15, s14);
NEST(s16, s15); NEST(s17, s16); NEST(s18, s17); NEST(s19, s18); NEST(s20, s19); NEST(s21, s20); NEST(s22, s21);
NEST(s23, s22); NEST(s24, s23); NEST(s25, s24); NEST(s26, s25); NEST(s27, s26); NEST(s28, s27); NEST(s29, s28);
NEST(s30, s29); NEST(s31, s30); NEST(s32, s31); NEST(s33, s32); NEST(s34, s33); NEST(s35, s34);

struct locked {
	struct bpf_spin_lock lock;
	struct s35 deep;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct locked);
} counts SEC(".maps");

SEC("xdp")
int holds(struct xdp_md *ctx)
{
	__u32 key = 0;
	struct locked *value = bpf_map_lookup_elem(&counts, &key);

	if (!value)
		return XDP_PASS;
	bpf_spin_lock(&value->lock);
	*(volatile int *)&value->deep += 1;
	bpf_spin_unlock(&value->lock);
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "GPL";
