/* Whether types exist: of each kind, of another kind, flavoured, gone. */
#include "core.h"

struct task_struct { int pid; } CORE;
struct task_struct___flavour { int gone; } CORE;
struct no_such_struct { int x; } CORE;
struct in6_addr { int x; } CORE;
union sigval { int x; } CORE;
union task_struct___union { int pid; } CORE;
enum bpf_map_type { BPF_MAP_TYPE_HASH = 1 };
enum no_such_enum { NO_SUCH_VALUE };
enum perf_callchain_context { PERF_CONTEXT_HV = 1 };
typedef int pid_t;
typedef struct { int x; } atomic_t;
typedef u64 *sockptr_t;
typedef u64 no_such_typedef;
typedef u64 (*bpf_callback_t)(u64, u64, u64, u64, u64);
typedef int (*filldir_t)(int);

SEC("raw_tp/x")
int structs(void *ctx)
{
	return TYPE_EXISTS(struct task_struct) + 2 * TYPE_EXISTS(struct task_struct___flavour) +
	       4 * TYPE_EXISTS(struct no_such_struct) + 8 * TYPE_EXISTS(struct in6_addr) + 16 * TYPE_EXISTS(union sigval) +
	       32 * TYPE_EXISTS(union task_struct___union);
}

SEC("raw_tp/x")
int others(void *ctx)
{
	return TYPE_EXISTS(enum bpf_map_type) + 2 * TYPE_EXISTS(enum no_such_enum) +
	       4 * TYPE_EXISTS(enum perf_callchain_context) + 8 * TYPE_EXISTS(pid_t) + 16 * TYPE_EXISTS(atomic_t) +
	       32 * TYPE_EXISTS(sockptr_t) + 64 * TYPE_EXISTS(no_such_typedef);
}

SEC("raw_tp/x")
int functions(void *ctx)
{
	return TYPE_EXISTS(bpf_callback_t) + 2 * TYPE_EXISTS(filldir_t);
}

LICENSE;
