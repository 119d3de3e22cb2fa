/* Plain here and a bit-field in the kernel, and the other way round. */
#include "core.h"

struct sk_buff {
	u32 len : 20;
	u32 : 12;
	u8 cloned;
	u8 nohdr;
} CORE;

SEC("raw_tp/x")
int asked(u64 *ctx)
{
	struct sk_buff *skb = (void *)ctx[0];
	return LSHIFT(skb->cloned) + RSHIFT(skb->len) * 64 + SIZE(skb->len) + OFFSET(skb->len) + RSHIFT(skb->nohdr) +
	       SIZE(skb->nohdr);
}

SEC("raw_tp/x")
int direct(u64 *ctx)
{
	struct sk_buff *skb = (void *)ctx[0];
	return EXISTS(skb->cloned) ? 1 : skb->cloned;
}

LICENSE;
