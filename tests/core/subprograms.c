/* Relocations in subprograms, which two programs share, and in functions of `.text` that nobody calls. */
#include "core.h"

struct task_struct {
	u32 tgid;
	int pid;
	int gone;
} CORE;

static NOINLINE int pid_of(struct task_struct *task)
{
	return READ(task->pid);
}

NOINLINE int tgid_of(u64 task)
{
	struct task_struct *of = (void *)task;
	return READ(of->tgid);
}

NOINLINE int unused(u64 task)
{
	struct task_struct *of = (void *)task;
	return READ(of->gone);
}

SEC("raw_tp/x")
int one(void *ctx)
{
	struct task_struct *task = (void *)get_current_task();
	return pid_of(task) + OFFSET(task->tgid);
}

SEC("raw_tp/x")
int two(void *ctx)
{
	struct task_struct *task = (void *)get_current_task();
	return tgid_of((u64)task) + pid_of(task);
}

LICENSE;
