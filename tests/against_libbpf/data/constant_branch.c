// SPDX-License-Identifier: MIT OR Apache-2.0
/* Constants that decide what code the verifier sees. */
#include "../small.h"

const volatile struct {
	__u8 is_on;
	__u32 limit;
} config = { 0, 9 };

SEC("xdp")
int use(struct xdp_md *ctx)
{
	if (config.is_on) {
		volatile __u32 sum = 0;

		for (__u32 i = 0; i < config.limit; i++)
			sum += i;
		return sum;
	}
	return config.limit > 3 ? XDP_PASS : XDP_DROP;
}
