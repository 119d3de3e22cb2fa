// SPDX-License-Identifier: MIT OR Apache-2.0
/* A filter that makes packets much longer, and counts how often it ran. */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} runs SEC(".maps");

SEC("tc")
int grow(struct __sk_buff *skb)
{
	__u32 key = 0, *count = bpf_map_lookup_elem(&runs, &key);

	if (count)
		*count += 1;
	return bpf_skb_change_tail(skb, 3000, 0) ? TC_ACT_SHOT : TC_ACT_OK;
}

char LICENSE[] SEC("license") = "GPL";
