/* Numbers of types, in the object and in the kernel. */
#include "core.h"

struct task_struct { int pid; } CORE;
struct no_such_struct { int x; } CORE;
enum bpf_map_type { BPF_MAP_TYPE_HASH = 1 };
typedef int pid_t;

SEC("raw_tp/x")
int local(void *ctx)
{
	return TYPE_ID_LOCAL(struct task_struct) + TYPE_ID_LOCAL(struct no_such_struct) + TYPE_ID_LOCAL(pid_t) +
	       TYPE_ID_LOCAL(int);
}

SEC("raw_tp/x")
int target(void *ctx)
{
	return TYPE_ID_TARGET(struct task_struct) + TYPE_ID_TARGET(struct no_such_struct) + TYPE_ID_TARGET(pid_t) +
	       TYPE_ID_TARGET(enum bpf_map_type);
}

LICENSE;
