// SPDX-License-Identifier: MIT OR Apache-2.0
/* A field that no kernel has, behind a constant that says no. */
#include "../small.h"

#define CORE __attribute__((preserve_access_index))

struct task_struct {
	int no_such_field;
	int pid;
} CORE;

SEC("tp_btf/sched_process_exit")
int use(__u64 *ctx)
{
	struct task_struct *task = (void *)ctx[0];

	if (__builtin_preserve_field_info(task->no_such_field, 2))
		return task->no_such_field;
	return task->pid;
}
