// SPDX-License-Identifier: MIT OR Apache-2.0
/* A function that has to be there, and is not. */
#include "../small.h"

extern int bpf_no_such_function(int) __ksym;

SEC("tc")
int use(struct __sk_buff *skb)
{
	return bpf_no_such_function(7);
}
