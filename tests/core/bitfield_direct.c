/* A bit-field of the kernel that is loaded as if it were none. */
#include "core.h"

struct sk_buff {
	u8 cloned;
} CORE;

SEC("tp_btf/kfree_skb")
int loaded(u64 *ctx)
{
	struct sk_buff *skb = (void *)ctx[0];
	return skb->cloned == 0;
}

LICENSE;
