// SPDX-License-Identifier: MIT OR Apache-2.0
/* Maps by key; what is inside may have any size of its own. */
#include "../small.h"

struct {
	__uint(type, BPF_MAP_TYPE_HASH_OF_MAPS);
	__uint(max_entries, 5);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u64);
	__array(values, struct {
		__uint(type, BPF_MAP_TYPE_ARRAY);
		__uint(max_entries, 1);
		__uint(map_flags, BPF_F_INNER_MAP);
		__type(key, int);
		__type(value, __u64[3]);
	});
} outer SEC(".maps");

SEC("tc")
int look(struct __sk_buff *skb)
{
	__u64 key = skb->mark;
	int zero = 0;
	void *inner = bpf_map_lookup_elem(&outer, &key);

	return inner && bpf_map_lookup_elem(inner, &zero) ? 0 : 2;
}
