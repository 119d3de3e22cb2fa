// SPDX-License-Identifier: MIT OR Apache-2.0
/* What each task has for itself. */
#include "../small.h"

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__type(key, int);
	__type(value, __u64);
	__uint(map_flags, BPF_F_NO_PREALLOC);
} own SEC(".maps");

struct task_struct;

SEC("tp_btf/sched_switch")
int count(__u64 *ctx)
{
	struct task_struct *task = (void *)ctx[1];
	__u64 *n = bpf_task_storage_get(&own, task, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);

	if (n)
		*n += 1;
	return 0;
}
