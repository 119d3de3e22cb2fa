// SPDX-License-Identifier: MIT OR Apache-2.0
/* A tail call out of a subprogram. */
#include "../small.h"

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__uint(key_size, 4);
	__uint(value_size, 4);
} next SEC(".maps");

FUNCTION int leave(struct __sk_buff *skb)
{
	bpf_tail_call_static(skb, &next, 0);
	return 1;
}

SEC("tc")
int use(struct __sk_buff *skb)
{
	return leave(skb) + skb->len;
}
