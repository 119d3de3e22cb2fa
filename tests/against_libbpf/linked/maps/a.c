// SPDX-License-Identifier: MIT OR Apache-2.0
/* A map, a variable and a string. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, __u64);
} shared SEC(".maps");

int total = 5;
const volatile int limit = 9;

SEC("xdp")
int use(struct xdp_md *ctx)
{
	__u32 zero = 0;
	__u64 *n = bpf_map_lookup_elem(&shared, &zero);

	if (n)
		*n += total + limit;
	bpf_printk("here");
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "GPL";
