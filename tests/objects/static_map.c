// SPDX-License-Identifier: MIT OR Apache-2.0
/* Static maps: no symbol of their own in the relocations, only section + offset. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

static struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} first SEC(".maps");

static struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, __u64);
} second SEC(".maps");

SEC("xdp")
int count(struct xdp_md *ctx)
{
	__u32 key = 0;
	__u32 *a = bpf_map_lookup_elem(&first, &key);
	__u64 *b = bpf_map_lookup_elem(&second, &key);

	if (a && b)
		*b += ++*a;
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
