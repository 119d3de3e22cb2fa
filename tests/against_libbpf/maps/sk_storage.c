// SPDX-License-Identifier: MIT OR Apache-2.0
/* What each socket has for itself; a copy for sockets that come of it. */
#include "../small.h"

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__type(key, int);
	__type(value, __u64);
	__uint(map_flags, BPF_F_NO_PREALLOC);
} own SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__type(key, int);
	__type(value, __u64);
	__uint(map_flags, BPF_F_NO_PREALLOC | BPF_F_CLONE);
} inherited SEC(".maps");

SEC("cgroup_skb/ingress")
int count(struct __sk_buff *skb)
{
	struct bpf_sock *sk = skb->sk;
	__u64 *n;

	if (!sk || !(sk = bpf_sk_fullsock(sk)))
		return 1;
	if ((n = bpf_sk_storage_get(&own, sk, 0, BPF_SK_STORAGE_GET_F_CREATE)))
		*n += 1;
	return bpf_sk_storage_delete(&inherited, sk) ? 1 : 1;
}
