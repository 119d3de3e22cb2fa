// SPDX-License-Identifier: MIT OR Apache-2.0
/* A setting, a symbol, a variable and a function, in the order that libbpf sorts externs. */
#include "../small.h"

extern const void bpf_link_put __ksym;
extern int CONFIG_HZ __kconfig;
extern void bpf_rcu_read_unlock(void) __ksym;
extern const int no_such_variable __ksym __weak;
extern void bpf_rcu_read_lock(void) __ksym;
extern _Bool CONFIG_BPF __kconfig;
__u64 address;

SEC("tc")
int use(struct __sk_buff *skb)
{
	bpf_rcu_read_lock();
	address = (__u64)&bpf_link_put + CONFIG_HZ + CONFIG_BPF;
	if (&no_such_variable)
		address = 0;
	bpf_rcu_read_unlock();
	return 0;
}
