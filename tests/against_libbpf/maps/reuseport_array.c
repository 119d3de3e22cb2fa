// SPDX-License-Identifier: MIT OR Apache-2.0
/* Sockets that share a port. */
#include "../small.h"

struct {
	__uint(type, BPF_MAP_TYPE_REUSEPORT_SOCKARRAY);
	__uint(max_entries, 8);
	__type(key, __u32);
	__type(value, __u64);
} sockets SEC(".maps");

SEC("sk_reuseport")
int choose(struct sk_reuseport_md *md)
{
	__u32 index = md->hash & 7;

	return bpf_sk_select_reuseport(md, &sockets, &index, 0) ? SK_DROP : SK_PASS;
}
