// SPDX-License-Identifier: MIT OR Apache-2.0
/* An arena with variables and with pages that a program asks for; another program has nothing to do with it. Casts are
 * written as clang 19 does, so that any clang can compile them. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#define __arena_variable SEC(".addr_space.1")
/* From the address space of user space, which addresses of variables are in, to that of the kernel. */
#define cast_to_kernel(pointer)                                       \
	do {                                                          \
		register void *r1 asm("r1") = (void *)(pointer);      \
		asm volatile(".byte 0xbf, 0x11; .short 1; .long 1" : "+r"(r1)); \
		(pointer) = r1;                                       \
	} while (0)

extern void *bpf_arena_alloc_pages(void *map, void *address, __u32 pages, int node, __u64 flags) __ksym;

struct {
	__uint(type, 33); /* BPF_MAP_TYPE_ARENA */
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 4);
} arena SEC(".maps");

__arena_variable __u64 unused = 1;
__arena_variable __u64 seen = 40;

SEC("xdp")
int counts(struct xdp_md *ctx)
{
	__u64 *count = &seen;

	asm volatile("r0 = %[map] ll" : : [map] "i"(&arena) : "r0");
	cast_to_kernel(count);
	return ++*count;
}

SEC("syscall")
int allocates(void *ctx)
{
	return bpf_arena_alloc_pages(&arena, 0, 1, -1, 0) != 0;
}

SEC("xdp")
int alone(struct xdp_md *ctx)
{
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "GPL";
