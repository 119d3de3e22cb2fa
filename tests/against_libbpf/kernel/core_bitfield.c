// SPDX-License-Identifier: MIT OR Apache-2.0
/* A field of some bits. */
#include "../small.h"

#define CORE __attribute__((preserve_access_index))

struct sk_buff {
	__u8 cloned : 1, nohdr : 1, pkt_type : 3;
} CORE;
__u64 shifts;

SEC("raw_tp/kfree_skb")
int use(__u64 *ctx)
{
	struct sk_buff *skb = (void *)ctx[0];
	__u64 word = 0;

	bpf_probe_read_kernel(&word, __builtin_preserve_field_info(skb->pkt_type, 1), (void *)skb + __builtin_preserve_field_info(skb->pkt_type, 0));
	shifts = word << __builtin_preserve_field_info(skb->pkt_type, 4) >> __builtin_preserve_field_info(skb->pkt_type, 5);
	return 0;
}
