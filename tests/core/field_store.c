/* Stores carry the offset as well: of a register, and of a number. */
#include "core.h"

struct sk_buff {
	u32 priority;
	u32 mark;
	u64 tstamp;
} CORE;

SEC("raw_tp/x")
int number(u64 *ctx)
{
	struct sk_buff *skb = (void *)ctx[0];
	skb->mark = 7;
	return 0;
}

SEC("raw_tp/x")
int variable(u64 *ctx)
{
	struct sk_buff *skb = (void *)ctx[0];
	skb->priority = (u32)ctx[1];
	skb->tstamp = ctx[1];
	return 0;
}

LICENSE;
