// SPDX-License-Identifier: MIT OR Apache-2.0
/* Functions of the kernel, called directly and out of a subprogram. */
#include "../small.h"

extern void bpf_rcu_read_lock(void) __ksym;
extern void bpf_rcu_read_unlock(void) __ksym;
volatile int n;

FUNCTION int locked(int x)
{
	bpf_rcu_read_lock();
	n += x;
	bpf_rcu_read_unlock();
	return n;
}

SEC("tc")
int use(struct __sk_buff *skb)
{
	bpf_rcu_read_lock();
	n++;
	bpf_rcu_read_unlock();
	return locked(skb->len);
}
