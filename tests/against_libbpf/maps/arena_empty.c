// SPDX-License-Identifier: MIT OR Apache-2.0
/* An arena without variables (libbpf 1.4). */
#include "../small.h"

struct {
	__uint(type, 33 /* BPF_MAP_TYPE_ARENA */);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 10);
} arena SEC(".maps");

SEC("syscall")
int look(void *ctx)
{
	return (long)&arena != 0;
}
