// SPDX-License-Identifier: MIT OR Apache-2.0
/* Each question that CO-RE asks of fields, types and values, in one program. */
#include "../small.h"

#define CORE __attribute__((preserve_access_index))

struct task_struct {
	int pid;
	struct task_struct *real_parent;
	char comm[16];
	int no_such_field;
} CORE;
__u64 sums[9];

SEC("raw_tp/sys_enter")
int use(void *ctx)
{
	struct task_struct *task = (void *)bpf_get_current_task();

	sums[0] = __builtin_preserve_field_info(task->pid, 0);
	sums[1] = __builtin_preserve_field_info(task->comm, 1);
	sums[2] = __builtin_preserve_field_info(task->no_such_field, 2);
	sums[3] = __builtin_preserve_field_info(task->pid, 3);
	sums[4] = __builtin_preserve_type_info(*(struct task_struct *)0, 0);
	sums[5] = __builtin_preserve_type_info(*(struct task_struct *)0, 1);
	sums[6] = __builtin_btf_type_id(*(struct task_struct *)0, 1);
	sums[7] = __builtin_preserve_enum_value(*(enum bpf_map_type *)BPF_MAP_TYPE_ARRAY, 1);
	sums[8] = __builtin_preserve_enum_value(*(enum bpf_map_type *)BPF_MAP_TYPE_HASH, 0);
	return 0;
}
