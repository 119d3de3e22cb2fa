// SPDX-License-Identifier: MIT OR Apache-2.0
/* Counts what leaves: at 1 what sockets of the cgroup in slot 1 send, and everything at 0. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_CGROUP_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, __u32);
} groups SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, __u64);
} seen SEC(".maps");

static void count(__u32 place)
{
	__u64 *counter = bpf_map_lookup_elem(&seen, &place);

	if (counter)
		__sync_fetch_and_add(counter, 1);
}

SEC("tc")
int leaving(struct __sk_buff *skb)
{
	count(0);
	if (bpf_skb_under_cgroup(skb, &groups, 1) == 1)
		count(1);
	return -1; /* TC_ACT_UNSPEC: the next one decides */
}

char LICENSE[] SEC("license") = "GPL";
