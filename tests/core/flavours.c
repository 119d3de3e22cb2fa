/* Several descriptions of one struct, for several kernels. */
#include "core.h"

struct task_struct {
	int pid;
} CORE;

struct task_struct___old {
	long state;
} CORE;

struct task_struct___new_one {
	u32 __state;
} CORE;

struct task_struct___a___b {
	int tgid;
} CORE;

SEC("raw_tp/x")
int flavours(void *ctx)
{
	struct task_struct *task = (void *)get_current_task();
	struct task_struct___old *old = (void *)task;
	struct task_struct___new_one *new = (void *)task;
	struct task_struct___a___b *none = (void *)task;
	u64 state = EXISTS(old->state) ? READ(old->state) : READ(new->__state);
	return state + READ(task->pid) + EXISTS(none->tgid);
}

LICENSE;
