// SPDX-License-Identifier: MIT OR Apache-2.0
// Programs that use registers and the stack as the verifier does not let them.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} counts SEC(".maps");

SEC("xdp")
int below_the_stack(struct xdp_md *ctx)
{
	asm volatile("r1 = 0\n*(u64 *)(r10 - 520) = r1" ::: "r1", "memory");
	return XDP_PASS;
}

/* Writes to the far end of a variable, so that it needs all of its room. */
static __always_inline int touched(char *room)
{
	asm volatile("*(u8 *)(%0 + 0) = %1" ::"r"(room), "r"(0) : "memory");
	return room[0];
}

static __noinline int large(void)
{
	char room[300];

	return touched(room);
}

SEC("xdp")
int two_large_frames(struct xdp_md *ctx)
{
	char room[300];

	return touched(room) + large();
}

SEC("xdp")
int register_without_value(struct xdp_md *ctx)
{
	int value;

	asm volatile("%0 = r7" : "=r"(value));
	return value;
}

SEC("xdp")
int odd_address(struct xdp_md *ctx)
{
	asm volatile("r1 = 0\n*(u64 *)(r10 - 12) = r1" ::: "r1", "memory");
	return XDP_PASS;
}

SEC("xdp")
int key_larger_than_its_variable(struct xdp_md *ctx)
{
	__u64 *count;

	asm volatile("r1 = 0\n*(u16 *)(r10 - 2) = r1\nr2 = r10\nr2 += -2\nr1 = %[map] ll\ncall %[lookup]\n%[count] = r0"
		     : [count] "=r"(count)
		     : [map] "i"(&counts), [lookup] "i"(BPF_FUNC_map_lookup_elem)
		     : "r0", "r1", "r2", "r3", "r4", "r5", "memory");
	return count ? XDP_DROP : XDP_PASS;
}

SEC("xdp")
int length_without_end(struct xdp_md *ctx)
{
	char room[16] = {};

	bpf_xdp_load_bytes(ctx, 0, room, ctx->rx_queue_index);
	return room[0];
}

SEC("xdp")
int length_below_zero(struct xdp_md *ctx)
{
	char room[16] = {};
	int length = bpf_get_prandom_u32();

	if (length < 16)
		bpf_xdp_load_bytes(ctx, 0, room, length);
	return room[0];
}

SEC("xdp")
int stack_without_value(struct xdp_md *ctx)
{
	__u64 value;

	asm volatile("%0 = *(u64 *)(r10 - 64)" : "=r"(value));
	return value;
}

SEC("xdp")
int half_of_a_pointer(struct xdp_md *ctx)
{
	asm volatile("*(u32 *)(r10 - 8) = r1" ::: "memory");
	return XDP_PASS;
}

SEC("xdp")
int key_without_value(struct xdp_md *ctx)
{
	__u32 key[2];

	asm volatile("" : "=m"(key));
	*(volatile __u32 *)&key[1] = 0;
	return bpf_map_lookup_elem(&counts, key) ? XDP_DROP : XDP_PASS;
}

SEC("xdp")
int address_in_a_map(struct xdp_md *ctx)
{
	__u32 key = 0;
	__u64 *count = bpf_map_lookup_elem(&counts, &key);

	if (count)
		*count = (__u64)ctx;
	return XDP_PASS;
}

char _license[] SEC("license") = "Dual MIT/GPL";
