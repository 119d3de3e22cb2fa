/* Elements in and out of the kernel's bounds, arrays without length, pointers as arrays. */
#include "core.h"

struct task_struct {
	char comm[64];
	int pid;
} CORE;

struct cgroup {
	int level;
	struct cgroup *ancestors[];
} CORE;

struct in6_addr {
	union {
		u8 u6_addr8[16];
		u32 u6_addr32[4];
	} in6_u;
} CORE;

SEC("raw_tp/x")
int bounds(void *ctx)
{
	struct task_struct *task = ctx;
	return EXISTS(task->comm[15]) + 2 * EXISTS(task->comm[16]) + 4 * EXISTS(task[2].comm[3]) + SIZE(task->comm[3]) +
	       OFFSET(task[3].pid);
}

SEC("raw_tp/x")
int flexible(void *ctx)
{
	struct cgroup *cgroup = ctx;
	return OFFSET(cgroup->ancestors[5]) + EXISTS(cgroup->ancestors[100]) + SIZE(cgroup->ancestors);
}

SEC("raw_tp/x")
int in_union(void *ctx)
{
	struct in6_addr *addr = ctx;
	return OFFSET(addr->in6_u.u6_addr32[2]) + OFFSET(addr->in6_u.u6_addr8[9]);
}

LICENSE;
