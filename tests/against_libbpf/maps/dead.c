// SPDX-License-Identifier: MIT OR Apache-2.0
/* A map that only code names that the verifier drops. */
#include "../small.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} counts SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} debug SEC(".maps");

const volatile int is_debugging = 0;

SEC("xdp")
int count(struct xdp_md *ctx)
{
	COUNT(counts);
	if (is_debugging)
		COUNT(debug);
	return XDP_PASS;
}
