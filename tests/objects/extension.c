// SPDX-License-Identifier: MIT OR Apache-2.0
/* A program with a function that another one replaces, and programs whose sections do not say what they are for. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

__attribute__((noinline)) int classify(struct xdp_md *ctx)
{
	return ctx->data_end - ctx->data > 1500 ? XDP_DROP : XDP_PASS;
}

SEC("xdp")
int filter(struct xdp_md *ctx)
{
	return classify(ctx);
}

SEC("freplace/classify")
int strict(struct xdp_md *ctx)
{
	return XDP_DROP;
}

SEC("freplace")
int unsaid(struct xdp_md *ctx)
{
	return XDP_PASS;
}

SEC("tp_btf")
int tracepoint(__u64 *ctx)
{
	return 0;
}

SEC("iter")
int iterator(__u64 *ctx)
{
	return 0;
}

SEC("fentry")
int function(__u64 *ctx)
{
	return 0;
}

SEC("lsm")
int hook(__u64 *ctx)
{
	return 0;
}

SEC("kprobe")
int probe(void *ctx)
{
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
