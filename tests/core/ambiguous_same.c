/* The kernel has several structs of these names, and they say the same. */
#include "core.h"

struct syscall_tp_t {
	int syscall_nr;
} CORE;

struct perf_aux_event {
	u64 flags;
} CORE;

struct workspace {
	u32 window_size;
	void *mem;
} CORE;

SEC("raw_tp/x")
int same(void *ctx)
{
	struct syscall_tp_t *sys = ctx;
	return OFFSET(sys->syscall_nr) + TYPE_EXISTS(struct syscall_tp_t);
}

SEC("raw_tp/x")
int only_one(void *ctx)
{
	struct perf_aux_event *event = ctx;
	return OFFSET(event->flags);
}

LICENSE;
