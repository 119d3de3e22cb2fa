// SPDX-License-Identifier: MIT OR Apache-2.0
/* Iterators, also one that may wait, and system calls. */
#include "../small.h"

SEC("iter/bpf_map")
int maps(void *ctx)
{
	return 0;
}

SEC("iter.s/bpf_prog")
int programs(void *ctx)
{
	return 0;
}

SEC("syscall")
int call(void *ctx)
{
	return 0;
}
