// SPDX-License-Identifier: MIT OR Apache-2.0
/* Returns what pin_by_name.c counts, from a program of another type: the object says that the map is shared. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
	__type(key, __u32);
	__type(value, __u64);
} shared_count SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} own_count SEC(".maps");

static __always_inline __u64 first(void *map)
{
	__u32 key = 0;
	__u64 *n = bpf_map_lookup_elem(map, &key);

	return n ? *n : 0;
}

SEC("tc")
int read(struct __sk_buff *skb)
{
	return first(&shared_count) + 1000 * first(&own_count);
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
