// SPDX-License-Identifier: MIT OR Apache-2.0
// Programs that call what the verifier does not let them call.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} next SEC(".maps");

struct sock_common {
	int skc_family;
};
extern int bpf_sock_destroy(struct sock_common *sock) __ksym;

SEC("xdp")
int helper_of_another_type(struct xdp_md *ctx)
{
	char room[4] = {};

	bpf_skb_load_bytes(ctx, 0, room, sizeof(room));
	return room[0];
}

SEC("xdp")
int helper_that_no_kernel_has(struct xdp_md *ctx)
{
	return ((int (*)(void))99999)();
}

SEC("xdp")
int function_of_another_type(struct xdp_md *ctx)
{
	return bpf_sock_destroy((void *)ctx);
}

SEC("kprobe/do_nanosleep")
int sleeps(void *ctx)
{
	char room[8] = {};

	bpf_copy_from_user(room, sizeof(room), (void *)1);
	return room[0];
}

static __noinline int jump(struct xdp_md *ctx)
{
	bpf_tail_call(ctx, &next, 0);
	return XDP_PASS;
}

SEC("xdp")
int tail_call_below_a_large_frame(struct xdp_md *ctx)
{
	char room[280];

	asm volatile("*(u8 *)(%0 + 0) = %1" ::"r"(room), "r"(0) : "memory");
	return jump(ctx) + room[0];
}

static long twice(__u32 index, void *room)
{
	return 2;
}

SEC("xdp")
int callback_that_returns_two(struct xdp_md *ctx)
{
	bpf_loop(4, twice, NULL, 0);
	return XDP_PASS;
}

__noinline int first(int *value)
{
	return *value;
}

SEC("xdp")
int global_function_without_null_check(struct xdp_md *ctx)
{
	int value = ctx->rx_queue_index;

	return first(&value);
}

__noinline void *second(struct xdp_md *ctx)
{
	return (void *)(long)ctx->data;
}

SEC("xdp")
int global_function_returns_a_pointer(struct xdp_md *ctx)
{
	return second(ctx) ? XDP_DROP : XDP_PASS;
}

SEC("xdp")
int dynptr_without_value(struct xdp_md *ctx)
{
	struct bpf_dynptr bytes = {};
	char room[4];

	bpf_dynptr_read(room, sizeof(room), &bytes, 0, 0);
	return room[0];
}

struct task_struct {
	struct task_struct *last_wakee;
} __attribute__((preserve_access_index));
extern struct task_struct *bpf_task_acquire(struct task_struct *task) __ksym;
extern void bpf_task_release(struct task_struct *task) __ksym;

SEC("tp_btf/sched_switch")
int untrusted_pointer(__u64 *ctx)
{
	struct task_struct *task = (void *)ctx[1];
	struct task_struct *woken = bpf_task_acquire(task->last_wakee);

	if (woken)
		bpf_task_release(woken);
	return 0;
}

char _license[] SEC("license") = "Dual MIT/GPL";
