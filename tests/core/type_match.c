/* Types that have all, or not all, that the kernel has by the same name. The test turns "exists" into "matches". */
#include "core.h"

struct list_head { struct list_head *next, *prev; } CORE;
struct list_head___one { struct list_head___one *prev; } CORE;
struct list_head___more { struct list_head *next, *prev, *more; } CORE;
struct list_head___other { int next; } CORE;
struct task_struct { u32 flags; int pid; char comm[16]; } CORE;
struct task_struct___sign { u32 pid; } CORE;
struct task_struct___size { char comm[8]; } CORE;
struct task_struct___width { u64 flags; } CORE;
struct qstr { union { u64 hash_len; }; const unsigned char *name; } CORE;
struct mm_struct;
struct net_device;
struct task_struct___pointer { struct mm_struct *mm; } CORE;
struct task_struct___void { void *mm; } CORE;
enum bpf_map_type { BPF_MAP_TYPE_HASH = 77, BPF_MAP_TYPE_ARRAY };
enum bpf_map_type___unknown { NO_SUCH_TYPE };
enum bpf_map_type___flavour { BPF_MAP_TYPE_HASH___f };
typedef int pid_t;
typedef u64 (*bpf_callback_t)(u64, u64, u64, u64, u64);
typedef u64 (*bpf_callback_t___args)(u64, u64, u64, u64);
union sigval { int sival_int; void *sival_ptr; } CORE;
struct net_device_ops { int (*ndo_open)(struct net_device *dev); } CORE;
struct net_device_ops___other { void (*ndo_open)(struct net_device *dev); } CORE;

SEC("raw_tp/x")
int structs(void *ctx)
{
	return TYPE_EXISTS(struct list_head) + 2 * TYPE_EXISTS(struct list_head___one) +
	       4 * TYPE_EXISTS(struct list_head___more) + 8 * TYPE_EXISTS(struct list_head___other) +
	       16 * TYPE_EXISTS(struct task_struct) + 32 * TYPE_EXISTS(struct task_struct___sign) +
	       64 * TYPE_EXISTS(struct task_struct___size) + 128 * TYPE_EXISTS(struct task_struct___width) +
	       256 * TYPE_EXISTS(struct qstr) + 512 * TYPE_EXISTS(struct task_struct___pointer) +
	       1024 * TYPE_EXISTS(struct task_struct___void);
}

SEC("raw_tp/x")
int others(void *ctx)
{
	return TYPE_EXISTS(enum bpf_map_type) + 2 * TYPE_EXISTS(enum bpf_map_type___unknown) +
	       4 * TYPE_EXISTS(enum bpf_map_type___flavour) + 8 * TYPE_EXISTS(pid_t) + 16 * TYPE_EXISTS(bpf_callback_t) +
	       32 * TYPE_EXISTS(bpf_callback_t___args) + 64 * TYPE_EXISTS(union sigval) +
	       128 * TYPE_EXISTS(struct net_device_ops) + 256 * TYPE_EXISTS(struct net_device_ops___other);
}

LICENSE;
