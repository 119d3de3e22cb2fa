/* Sizes of numbers, pointers, arrays, structs and elements, where the kernel's differ. */
#include "core.h"

struct list_head {
	void *next;
} CORE;

struct task_struct {
	u64 pid;
	char comm[4];
	struct list_head tasks;
	void *mm;
	u8 on_cpu;
} CORE;

SEC("raw_tp/x")
int sizes(void *ctx)
{
	struct task_struct *task = ctx;
	return SIZE(task->pid) + SIZE(task->comm) + SIZE(task->comm[1]) + SIZE(task->tasks) + SIZE(task->mm) +
	       SIZE(task->on_cpu);
}

LICENSE;
