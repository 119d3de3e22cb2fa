// SPDX-License-Identifier: MIT OR Apache-2.0
/* Another CPU's value. */
#include "../small.h"

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} counts SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, __u64);
} keyed SEC(".maps");

SEC("tc")
int look(struct __sk_buff *skb)
{
	__u32 zero = 0;
	__u64 *n = bpf_map_lookup_percpu_elem(&counts, &zero, 1), *m = bpf_map_lookup_percpu_elem(&keyed, &zero, 0);

	return n && m && *n > *m;
}
