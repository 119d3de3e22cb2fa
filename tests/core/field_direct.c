/* Loads that carry the offset themselves; types of other sizes where the load may change its size, and where not. */
#include "core.h"

struct task_struct {
	int pid;		/* the same size */
	u64 flags;		/* unsigned, 32 bits in the kernel */
	u16 rt_priority;	/* unsigned, 32 bits in the kernel */
	void *mm;
	u32 start_time;		/* unsigned, 64 bits in the kernel */
} CORE;

SEC("tp_btf/sched_switch")
int same(u64 *ctx)
{
	struct task_struct *task = (void *)ctx[1];
	return task->pid == 0;
}

SEC("tp_btf/sched_switch")
int narrower(u64 *ctx)
{
	struct task_struct *task = (void *)ctx[1];
	return task->flags == 0;
}

SEC("tp_btf/sched_switch")
int wider(u64 *ctx)
{
	struct task_struct *task = (void *)ctx[1];
	return task->rt_priority == 0 || task->start_time == 0;
}

SEC("tp_btf/sched_switch")
int pointer(u64 *ctx)
{
	struct task_struct *task = (void *)ctx[1];
	return task->mm == 0;
}

LICENSE;
