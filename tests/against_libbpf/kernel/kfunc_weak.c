// SPDX-License-Identifier: MIT OR Apache-2.0
/* Functions that may be missing: what the kernel has is called, and the rest is dropped. */
#include "../small.h"

extern void bpf_rcu_read_lock(void) __ksym __weak;
extern void bpf_rcu_read_unlock(void) __ksym __weak;
extern int bpf_no_such_function(int) __ksym __weak;

SEC("tc")
int use(struct __sk_buff *skb)
{
	if (bpf_no_such_function)
		return bpf_no_such_function(7);
	if (bpf_rcu_read_lock) {
		bpf_rcu_read_lock();
		bpf_rcu_read_unlock();
	}
	return 0;
}
