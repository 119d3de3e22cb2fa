// SPDX-License-Identifier: MIT OR Apache-2.0
/* Maps in an array, with two of them inside from the beginning. */
#include "../small.h"

struct inner {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 3);
	__type(key, __u32);
	__type(value, __u64);
} low SEC(".maps"), high SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 5);
	__type(key, __u32);
	__array(values, struct inner);
} outer SEC(".maps") = {
	.values = { [1] = &low, [4] = &high },
};

SEC("xdp")
int count(struct xdp_md *ctx)
{
	__u32 index = 1, zero = 0;
	void *inner = bpf_map_lookup_elem(&outer, &index);
	__u64 *n = inner ? bpf_map_lookup_elem(inner, &zero) : 0;

	if (n)
		*n += 1;
	return XDP_PASS;
}
