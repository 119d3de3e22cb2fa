// SPDX-License-Identifier: MIT OR Apache-2.0
// Programs that are too large for the verifier, or have no end.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("xdp")
int no_end(struct xdp_md *ctx)
{
	for (;;)
		asm volatile("");
	return XDP_PASS;
}

SEC("xdp")
int too_many_instructions(struct xdp_md *ctx)
{
	int i, sum = 0;

	for (i = 0; i < 1000000; i++)
		asm volatile("%0 ^= %1" : "+r"(sum) : "r"(i));
	return sum;
}

SEC("xdp")
int too_many_branches(struct xdp_md *ctx)
{
	int i, sum = 0;

	for (i = 0; i < 10000; i++)
		if (bpf_get_prandom_u32() & 1)
			asm volatile("%0 += 1" : "+r"(sum));
	return sum;
}

#define DEEPER(name, next)                                    \
	static __noinline int name(struct xdp_md *ctx)        \
	{                                                     \
		return next(ctx) + (int)bpf_get_prandom_u32(); \
	}

static __noinline int d9(struct xdp_md *ctx)
{
	return ctx->rx_queue_index;
}

DEEPER(d8, d9)
DEEPER(d7, d8)
DEEPER(d6, d7)
DEEPER(d5, d6)
DEEPER(d4, d5)
DEEPER(d3, d4)
DEEPER(d2, d3)
DEEPER(d1, d2)

SEC("xdp")
int too_many_frames(struct xdp_md *ctx)
{
	return d1(ctx);
}

char _license[] SEC("license") = "Dual MIT/GPL";
