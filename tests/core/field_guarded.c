/* Fields that do not exist, behind a question whether they do: the verifier never sees the code. */
#include "core.h"

struct task_struct {
	int pid;
	long state;
	u32 __state;
	int gone;
} CORE;

SEC("raw_tp/x")
int either(void *ctx)
{
	struct task_struct *task = (void *)get_current_task();
	if (EXISTS(task->state))
		return READ(task->state);
	return READ(task->__state);
}

SEC("tp_btf/sched_switch")
int direct(u64 *ctx)
{
	struct task_struct *task = (void *)ctx[1];
	if (EXISTS(task->gone))
		return task->gone;
	return task->pid == 1;
}

SEC("raw_tp/x")
int reached(void *ctx)
{
	struct task_struct *task = (void *)get_current_task();
	return READ(task->gone);
}

LICENSE;
