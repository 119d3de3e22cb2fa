// SPDX-License-Identifier: MIT OR Apache-2.0
/* Fields read in subprograms and callbacks, some twice. */
#include "../small.h"

#define CORE __attribute__((preserve_access_index))

struct task_struct {
	int tgid;
	int pid;
	struct task_struct *group_leader;
} CORE;

FUNCTION int pid_of(struct task_struct *task)
{
	int pid = 0;

	bpf_probe_read_kernel(&pid, sizeof(pid), &task->pid);
	return pid;
}

FUNCTION int add(__u64 index, __u64 *sum)
{
	*sum += pid_of((void *)bpf_get_current_task());
	return 0;
}

SEC("raw_tp/sys_enter")
int use(void *ctx)
{
	struct task_struct *task = (void *)bpf_get_current_task(), *leader = 0;
	__u64 sum = 0;

	bpf_probe_read_kernel(&leader, sizeof(leader), &task->group_leader);
	bpf_loop(2, add, &sum, 0);
	return pid_of(leader) + pid_of(task) + sum;
}
