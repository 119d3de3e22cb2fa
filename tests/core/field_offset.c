/* Offsets of fields near and far in structs that differ from the kernel's, read through a pointer. */
#include "core.h"

struct task_struct {
	int prio;
	int pid;
	int tgid;
	struct task_struct *real_parent;
	u64 start_time;
	char comm[16];
} CORE;

SEC("raw_tp/sched_switch")
int parent(void *ctx)
{
	struct task_struct *task = (void *)get_current_task();
	struct task_struct *parent = READ(task->real_parent);
	return READ(parent->tgid) + READ(task->prio);
}

SEC("raw_tp/sched_switch")
int elements(void *ctx)
{
	struct task_struct *task = (void *)get_current_task();
	return READ(task->comm[0]) + READ(task->comm[7]) + READ(task->start_time);
}

LICENSE;
