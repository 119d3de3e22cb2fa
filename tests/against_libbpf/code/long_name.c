// SPDX-License-Identifier: MIT OR Apache-2.0
/* A program and a function with names longer than the kernel takes. */
#include "../small.h"

volatile int n;

FUNCTION int a_function_with_a_name_of_its_own(int x)
{
	return x + n;
}

SEC("xdp")
int a_program_with_a_name_of_its_own(struct xdp_md *ctx)
{
	return a_function_with_a_name_of_its_own(3) ? XDP_PASS : XDP_DROP;
}

SEC("xdp")
int a_program_with_a_name_like_the_other(struct xdp_md *ctx)
{
	return XDP_DROP;
}
