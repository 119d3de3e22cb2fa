/* Sizes of types. */
#include "core.h"

struct task_struct { int pid; } CORE;
struct in6_addr { int x; } CORE;
struct no_such_struct { int x; } CORE;
union sigval { int x; } CORE;
enum bpf_map_type { BPF_MAP_TYPE_HASH = 1 };
enum perf_callchain_context { PERF_CONTEXT_HV = 1 };
typedef int atomic_long_t;
typedef int pid_t;
typedef struct { int x; } sockptr_t;

SEC("raw_tp/x")
int sizes(void *ctx)
{
	return TYPE_SIZE(struct task_struct) + TYPE_SIZE(struct in6_addr) + TYPE_SIZE(struct no_such_struct) +
	       TYPE_SIZE(union sigval) + TYPE_SIZE(enum bpf_map_type) + TYPE_SIZE(enum perf_callchain_context) +
	       TYPE_SIZE(atomic_long_t) + TYPE_SIZE(pid_t) + TYPE_SIZE(sockptr_t);
}

LICENSE;
