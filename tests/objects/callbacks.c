// SPDX-License-Identifier: MIT OR Apache-2.0
/* Functions whose address is taken. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 8);
	__type(key, __u32);
	__type(value, __u64);
} counts SEC(".maps");

static int add_one(__u64 index, void *sum)
{
	*(__u64 *)sum += index;
	return 0;
}

static int add_value(void *map, __u32 *key, __u64 *value, __u64 *sum)
{
	*sum += *value;
	return 0;
}

SEC("xdp")
int loop(struct xdp_md *ctx)
{
	__u64 sum = 0;

	bpf_loop(10, add_one, &sum, 0);
	return sum ? XDP_PASS : XDP_DROP;
}

SEC("tc")
int each(struct __sk_buff *skb)
{
	__u64 sum = 0;

	bpf_for_each_map_elem(&counts, add_value, &sum, 0);
	return sum ? 0 : -1;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
