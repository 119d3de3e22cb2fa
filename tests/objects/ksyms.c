// SPDX-License-Identifier: MIT OR Apache-2.0
/* Functions and addresses of the kernel, by type and by name, there and not there. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

extern const void bpf_link_put __ksym;
extern const int no_such_variable __ksym __weak;
extern const void no_such_symbol __ksym __weak;
extern void *bpf_cast_to_kern_ctx(void *) __ksym;
extern void bpf_rcu_read_lock(void) __ksym;
extern void bpf_rcu_read_unlock(void) __ksym;

__u64 seen;

SEC("raw_tp/sys_enter")
int addresses(void *ctx)
{
	seen = (__u64)&bpf_link_put;
	if (&no_such_symbol)
		seen++;
	if (&no_such_variable)
		seen++;
	return 0;
}

SEC("tc")
int functions(struct __sk_buff *skb)
{
	seen = bpf_cast_to_kern_ctx(skb) != 0;
	return 0;
}

SEC("tp_btf/sys_enter")
int locked(__u64 *ctx)
{
	bpf_rcu_read_lock();
	seen++;
	bpf_rcu_read_unlock();
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
