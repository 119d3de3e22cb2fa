/* Whether fields exist: there, gone, of another type, in a struct that does not exist. */
#include "core.h"

struct task_struct {
	int pid;
	int no_such_field;
	struct { int x; } *comm;
	int tasks;
} CORE;

struct no_such_struct {
	int pid;
} CORE;

SEC("raw_tp/x")
int exists(void *ctx)
{
	struct task_struct *task = ctx;
	struct no_such_struct *none = ctx;
	return EXISTS(task->pid) + 2 * EXISTS(task->no_such_field) + 4 * EXISTS(task->comm) + 8 * EXISTS(task->tasks) +
	       16 * EXISTS(none->pid);
}

LICENSE;
