// SPDX-License-Identifier: MIT OR Apache-2.0
/* Fields of the context and of what it points to, loaded directly. */
#include "../small.h"

#define CORE __attribute__((preserve_access_index))

struct net_device {
	int ifindex;
	unsigned int mtu;
} CORE;
struct sk_buff {
	unsigned int len;
	struct net_device *dev;
} CORE;

SEC("tp_btf/kfree_skb")
int use(__u64 *ctx)
{
	struct sk_buff *skb = (void *)ctx[0];

	return skb->dev ? skb->dev->ifindex + skb->len : skb->len;
}
