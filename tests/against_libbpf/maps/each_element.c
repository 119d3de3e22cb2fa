// SPDX-License-Identifier: MIT OR Apache-2.0
/* A map that lets its elements be found by a callback. */
#include "../small.h"

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8);
	__type(key, __u32);
	__type(value, __u64);
} counts SEC(".maps");

FUNCTION int sum(void *map, __u32 *key, __u64 *value, __u64 *all)
{
	*all += *value;
	return *key == 7;
}

SEC("tc")
int each(struct __sk_buff *skb)
{
	__u64 all = 0;

	bpf_for_each_map_elem(&counts, sum, &all, 0);
	return all > 9;
}
