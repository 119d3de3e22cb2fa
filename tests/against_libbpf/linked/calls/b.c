// SPDX-License-Identifier: MIT OR Apache-2.0
/* A function, and a program that needs it as well. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

static volatile int calls;

__noinline int twice(int n)
{
	calls++;
	return 2 * n;
}

SEC("tc")
int use_too(struct __sk_buff *skb)
{
	return twice(skb->len);
}
