/* A signed field of another size cannot be read by changing the load: it becomes an instruction that is refused. */
#include "core.h"

struct task_struct {
	s64 prio;
	s64 exit_code;
	int pid;
} CORE;

SEC("tp_btf/sched_switch")
int reached(u64 *ctx)
{
	struct task_struct *task = (void *)ctx[1];
	return task->prio == 0;
}

SEC("tp_btf/sched_switch")
int guarded(u64 *ctx)
{
	struct task_struct *task = (void *)ctx[1];
	if (SIZE(task->exit_code) == 8)
		return task->exit_code == 0;
	return task->pid == 0;
}

LICENSE;
