// SPDX-License-Identifier: MIT OR Apache-2.0
/* Pointers of the kernel in values, trusted and not. Compilers before 15 lose the tag of a pointer to a struct,
 * but not to another name of it. */
#include "../small.h"

#define untrusted __attribute__((btf_type_tag("kptr_untrusted")))
#define kptr __attribute__((btf_type_tag("kptr")))
struct task_struct {
	int pid;
} __attribute__((preserve_access_index));
typedef struct task_struct task;
extern struct task_struct *bpf_task_acquire(struct task_struct *) __ksym;
extern void bpf_task_release(struct task_struct *) __ksym;
struct held {
	task untrusted *seen;
	task kptr *mine;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, int);
	__type(value, struct held);
} tasks SEC(".maps");

SEC("tp_btf/sched_process_exit")
int keep(__u64 *ctx)
{
	struct task_struct *task = (void *)ctx[0], *old;
	int zero = 0;
	struct held *held = bpf_map_lookup_elem(&tasks, &zero);

	if (!held || !(task = bpf_task_acquire(task)))
		return 0;
	old = bpf_kptr_xchg(&held->mine, task);
	if (old)
		bpf_task_release(old);
	return 0;
}
