// SPDX-License-Identifier: MIT OR Apache-2.0
/* Programs that are left out unless somebody wants them. */
#include "../small.h"

SEC("?xdp")
int maybe(struct xdp_md *ctx)
{
	return XDP_DROP;
}

SEC("?tc")
int broken(struct __sk_buff *skb)
{
	return *(volatile int *)0;
}

SEC("xdp")
int always(struct xdp_md *ctx)
{
	return XDP_PASS;
}
