// SPDX-License-Identifier: MIT OR Apache-2.0
/* A function that this kernel may not have, behind a question whether it is there, and one that it must have. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

extern int no_such_function(int, void *) __ksym __weak;
extern int no_such_strong_function(int) __ksym;
extern int CONFIG_NO_SUCH_STRONG_THING __kconfig;

SEC("tc")
int asks(struct __sk_buff *skb)
{
	if (no_such_function)
		return no_such_function(1, skb);
	return 0;
}

SEC("tc")
int insists(struct __sk_buff *skb)
{
	return no_such_strong_function(1);
}

SEC("tc")
int insists_on_a_setting(struct __sk_buff *skb)
{
	return CONFIG_NO_SUCH_STRONG_THING;
}

char LICENSE[] SEC("license") = "GPL";
