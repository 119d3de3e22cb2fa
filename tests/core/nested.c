/* Ways through several structs, arrays of structs and typedefs. */
#include "core.h"

typedef struct {
	int counter;
} counter_t;

struct refcount_struct {
	counter_t refs;
} CORE;
typedef struct refcount_struct refs_t;

struct list_head {
	struct list_head *next, *prev;
} CORE;

struct sched_entity {
	u64 vruntime;
	struct list_head group_node;
} CORE;

typedef const volatile struct sched_entity entity_t;

struct task_struct {
	entity_t se;
	refs_t usage;
	struct {
		u64 sum_exec_runtime;
	} se2;
} CORE;

struct mm_rss_stat;

struct cgroup_file {
	u64 notified_at;
} CORE;

struct cgroup {
	struct cgroup_file psi_files[2];
	int nr_dying_subsys[9];
} CORE;

SEC("raw_tp/x")
int nested(void *ctx)
{
	struct task_struct *task = ctx;
	struct cgroup *cgroup = ctx;
	return OFFSET(task->se.vruntime) + OFFSET(task->se.group_node.prev) + EXISTS(task->usage.refs) +
	       OFFSET(cgroup->psi_files[1].notified_at) + OFFSET(cgroup->nr_dying_subsys[3]) + EXISTS(task->se2) +
	       SIZE(cgroup->psi_files[1]);
}

LICENSE;
