// SPDX-License-Identifier: MIT OR Apache-2.0
/* Types of variables that point: only types, no addresses. */
#include "../small.h"

struct node {
	struct node *next;
	int (*call)(struct node *);
	const char *name;
};

struct node *head;
struct node tail;

SEC("xdp")
int use(struct xdp_md *ctx)
{
	tail.next = 0;
	return head ? XDP_DROP : XDP_PASS;
}
