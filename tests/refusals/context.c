// SPDX-License-Identifier: MIT OR Apache-2.0
// Programs that use their context, or end, as the verifier does not let them.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("cgroup_skb/ingress")
int field_of_another_type(struct __sk_buff *skb)
{
	return skb->tc_classid & 1;
}

SEC("xdp")
int moved_context(struct xdp_md *ctx)
{
	int value;

	asm volatile("r1 += 4\n%0 = *(u32 *)(r1 + 8)" : "=r"(value)::"r1");
	return value;
}

SEC("cgroup_skb/ingress")
int returns_five(struct __sk_buff *skb)
{
	return 5;
}

struct task_struct {
	int pid;
} __attribute__((preserve_access_index));

SEC("tp_btf/sched_switch")
int writes_to_the_kernel(__u64 *ctx)
{
	struct task_struct *task = (void *)ctx[1];

	task->pid = 1;
	return 0;
}

char _license[] SEC("license") = "Dual MIT/GPL";
