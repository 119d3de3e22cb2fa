// SPDX-License-Identifier: MIT OR Apache-2.0
/* What each attachment to a cgroup has for itself. */
#include "../small.h"

struct {
	__uint(type, BPF_MAP_TYPE_CGROUP_STORAGE);
	__type(key, struct bpf_cgroup_storage_key);
	__type(value, __u64);
} local SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE);
	__type(key, __u64);
	__type(value, __u64);
} by_cpu SEC(".maps");

SEC("cgroup_skb/egress")
int count(struct __sk_buff *skb)
{
	__u64 *all = bpf_get_local_storage(&local, 0), *one = bpf_get_local_storage(&by_cpu, 0);

	__sync_fetch_and_add(all, skb->len);
	*one += 1;
	return 1;
}
