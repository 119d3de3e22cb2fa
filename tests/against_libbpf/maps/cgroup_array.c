// SPDX-License-Identifier: MIT OR Apache-2.0
/* Cgroups by index. */
#include "../small.h"

struct {
	__uint(type, BPF_MAP_TYPE_CGROUP_ARRAY);
	__uint(max_entries, 4);
	__uint(key_size, 4);
	__uint(value_size, 4);
} groups SEC(".maps");

SEC("tc")
int inside(struct __sk_buff *skb)
{
	return bpf_skb_under_cgroup(skb, &groups, 1);
}
