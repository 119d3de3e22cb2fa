/* Values that the kernel numbers otherwise, or does not have. */
#include "core.h"

enum bpf_map_type {
	BPF_MAP_TYPE_HASH = 100,
	BPF_MAP_TYPE_LRU_HASH = 200,
	BPF_MAP_TYPE_RINGBUF___flavour = 300,
	NO_SUCH_TYPE = 400,
};

enum bpf_map_type___negative { BPF_MAP_TYPE_ARRAY = -5 };
enum no_such_enum { NO_SUCH_VALUE = 1 };
typedef enum { BTRFS_NO = 3 } no_such_typedef;

SEC("raw_tp/x")
int exists(void *ctx)
{
	return VALUE_EXISTS(enum bpf_map_type, BPF_MAP_TYPE_HASH) +
	       2 * VALUE_EXISTS(enum bpf_map_type, BPF_MAP_TYPE_RINGBUF___flavour) +
	       4 * VALUE_EXISTS(enum bpf_map_type, NO_SUCH_TYPE) + 8 * VALUE_EXISTS(enum no_such_enum, NO_SUCH_VALUE) +
	       16 * VALUE_EXISTS(no_such_typedef, BTRFS_NO);
}

SEC("raw_tp/x")
int values(void *ctx)
{
	return VALUE(enum bpf_map_type, BPF_MAP_TYPE_LRU_HASH) +
	       VALUE(enum bpf_map_type, BPF_MAP_TYPE_RINGBUF___flavour) +
	       VALUE(enum bpf_map_type___negative, BPF_MAP_TYPE_ARRAY);
}

SEC("raw_tp/x")
int guarded(void *ctx)
{
	if (VALUE_EXISTS(enum bpf_map_type, NO_SUCH_TYPE))
		return VALUE(enum bpf_map_type, NO_SUCH_TYPE);
	return 5;
}

SEC("raw_tp/x")
int reached(void *ctx)
{
	return VALUE(enum no_such_enum, NO_SUCH_VALUE);
}

LICENSE;
