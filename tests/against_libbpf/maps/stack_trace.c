// SPDX-License-Identifier: MIT OR Apache-2.0
/* Stacks, as addresses and as build ids. */
#include "../small.h"

struct {
	__uint(type, BPF_MAP_TYPE_STACK_TRACE);
	__uint(max_entries, 100);
	__uint(key_size, 4);
	__uint(value_size, 127 * 8);
} stacks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_STACK_TRACE);
	__uint(max_entries, 16);
	__uint(key_size, 4);
	__uint(value_size, 10 * sizeof(struct bpf_stack_build_id));
	__uint(map_flags, BPF_F_STACK_BUILD_ID);
} builds SEC(".maps");

SEC("kprobe/tcp_connect")
int who(void *ctx)
{
	return bpf_get_stackid(ctx, &stacks, 0) + bpf_get_stackid(ctx, &builds, BPF_F_USER_STACK);
}
