// SPDX-License-Identifier: MIT OR Apache-2.0
/* A program that throws, and the function that then says what it returns: a tag names it, and no instruction does. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

extern void bpf_throw(__u64 cookie) __ksym;

__u64 thrown = 0;

int answer(__u64 cookie)
{
	thrown = cookie;
	return cookie == 7 ? 1 : 0;
}

SEC("tc")
__attribute__((btf_decl_tag("exception_callback:answer"))) int throws(struct __sk_buff *skb)
{
	if (skb->len < 64)
		bpf_throw(7);
	return 0;
}

SEC("tc")
int throws_without(struct __sk_buff *skb)
{
	if (skb->len < 64)
		bpf_throw(7);
	return 0;
}

SEC("tc")
__attribute__((btf_decl_tag("exception_callback:no_such_function"))) int lost(struct __sk_buff *skb)
{
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
