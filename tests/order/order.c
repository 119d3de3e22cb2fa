// SPDX-License-Identifier: MIT OR Apache-2.0
/* Programs that write down in which order they run, in two versions: built with -DVERSION=1 and -DVERSION=2. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 32);
	__type(key, __u32);
	__type(value, __u32);
} ran SEC(".maps");

/* The first entry counts those that follow: 1, 2, 3 in version 1, 11, 12, 13 in version 2. */
static __always_inline void note(__u32 number)
{
	__u32 key = 0, *count = bpf_map_lookup_elem(&ran, &key), *place;

	if (!count)
		return;
	key = ++*count;
	place = bpf_map_lookup_elem(&ran, &key);
	if (place)
		*place = number + (VERSION - 1) * 10;
}

#define HOOK(section, name, number, verdict) \
	SEC(section) int name(struct __sk_buff *skb) { note(number); return verdict; }

HOOK("tc", tc_a, 1, -1)
HOOK("tc", tc_b, 2, -1)
HOOK("tc", tc_c, 3, -1)
HOOK("tc", tc_drop, 4, 2)
HOOK("cgroup_skb/egress", cg_drop, 4, 0)
HOOK("cgroup_skb/egress", cg_a, 1, 1)
HOOK("cgroup_skb/egress", cg_b, 2, 1)
HOOK("cgroup_skb/egress", cg_c, 3, 1)

char LICENSE[] SEC("license") = "GPL";
