// SPDX-License-Identifier: MIT OR Apache-2.0
/* The same map and variables, which the other file defines, and variables of its own. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, __u64);
} own SEC(".maps");

extern int total;
extern const int limit;
static volatile int hidden = 3;
const volatile int other = 4;

SEC("xdp")
int use_too(struct xdp_md *ctx)
{
	__u32 one = 1;
	__u64 *n = bpf_map_lookup_elem(&own, &one);

	if (n)
		*n += total++ + hidden++ + other + limit;
	bpf_printk("there");
	return XDP_DROP;
}
