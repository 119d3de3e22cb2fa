// SPDX-License-Identifier: MIT OR Apache-2.0
/* A program that ends by throwing, in a subprogram. */
#include "../small.h"

extern void bpf_throw(__u64 cookie) __attribute__((noreturn)) __ksym;

FUNCTION int fail(int n)
{
	if (n > 3)
		bpf_throw(0);
	return n;
}

SEC("tc")
int use(struct __sk_buff *skb)
{
	return fail(skb->len);
}
