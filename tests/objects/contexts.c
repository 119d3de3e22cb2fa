// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * Arguments that are the context by a tag alone: `any` is called by programs of several types, `second` gets the context
 * twice, `registers` and `words` say something else than the kernel does, and `named` says what the kernel says.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#undef __arg_ctx
#define __arg_ctx __attribute__((btf_decl_tag("arg:ctx")))

struct pt_regs {
	unsigned long first;
};

__noinline int any(void *ctx __arg_ctx, int n)
{
	return bpf_get_smp_processor_id() + (ctx ? n : 0);
}

__noinline int second(struct xdp_md *ctx, void *again __arg_ctx)
{
	return (ctx->data_end > ctx->data) + any(again, 2);
}

__noinline int registers(struct pt_regs *ctx __arg_ctx)
{
	return any(ctx, 3) + (ctx->first != 0);
}

__noinline int words(__u64 *ctx __arg_ctx)
{
	return any(ctx, 4) + (ctx[0] != 0);
}

__noinline int named(struct __sk_buff *ctx __arg_ctx)
{
	return any(ctx, 5) + ctx->len;
}

SEC("xdp")
int on_device(struct xdp_md *ctx)
{
	return any(ctx, 1) + second(ctx, ctx) > 100 ? XDP_DROP : XDP_PASS;
}

SEC("tc")
int on_stack(struct __sk_buff *ctx)
{
	return named(ctx) > 100;
}

SEC("cgroup_skb/egress")
int in_group(struct __sk_buff *ctx)
{
	return any(ctx, 1) >= 0;
}

SEC("cgroup/connect4")
int on_connect(struct bpf_sock_addr *ctx)
{
	return any(ctx, 1) >= 0;
}

SEC("kprobe/do_nanosleep")
int on_sleep(struct pt_regs *ctx)
{
	return registers(ctx) < 0;
}

SEC("raw_tp/sys_enter")
int on_call(__u64 *ctx)
{
	return words(ctx) < 0;
}

/* For a program of tc: the struct is what its `any` gets. */
SEC("?freplace/any")
int instead(struct __sk_buff *ctx, int n)
{
	return ctx->len > 100 ? n : 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
