/* Signs of fields; the kernel says otherwise of some. */
#include "core.h"

struct task_struct {
	u32 pid;
	s32 flags;
	u64 start_time;
	bool throttled;
	s32 migration_flags;
} CORE;

SEC("raw_tp/x")
int signs(void *ctx)
{
	struct task_struct *task = ctx;
	return SIGNED(task->pid) + 2 * SIGNED(task->flags) + 4 * SIGNED(task->start_time) + 8 * SIGNED(task->throttled) +
	       16 * SIGNED(task->migration_flags);
}

LICENSE;
