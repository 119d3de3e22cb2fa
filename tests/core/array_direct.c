/* Loads of one element where the array is longer in the kernel. */
#include "core.h"

struct task_struct {
	char comm[4];
	int pid;
} CORE;

SEC("tp_btf/sched_switch")
int first(u64 *ctx)
{
	struct task_struct *task = (void *)ctx[1];
	return task->comm[0] == 'a';
}

SEC("tp_btf/sched_switch")
int third(u64 *ctx)
{
	struct task_struct *task = (void *)ctx[1];
	return task->comm[2] == 'a';
}

LICENSE;
