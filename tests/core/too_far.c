/* A field behind the first 32 KiB of a struct cannot be reached by the offset of one load. */
#include "core.h"

struct task_struct {
	int pid;
} CORE;

SEC("raw_tp/x")
int far(u64 *ctx)
{
	struct task_struct *task = (void *)ctx[0];
	return task[3].pid;
}

SEC("raw_tp/x")
int farther(u64 *ctx)
{
	struct task_struct *task = (void *)ctx[0];
	return task[30].pid;
}

LICENSE;
