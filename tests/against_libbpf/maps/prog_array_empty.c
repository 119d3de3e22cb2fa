// SPDX-License-Identifier: MIT OR Apache-2.0
/* Slots that somebody else fills. */
#include "../small.h"

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 3);
	__uint(key_size, 4);
	__uint(value_size, 4);
} next SEC(".maps");

SEC("tc")
int entry(struct __sk_buff *skb)
{
	bpf_tail_call(skb, &next, skb->len & 3);
	return 0;
}
