// SPDX-License-Identifier: MIT OR Apache-2.0
/* Sections of the author's own, one with a long name. */
#include "../small.h"

__u64 a SEC(".data.mine") = 1;
__u64 b SEC(".data.a_name_that_is_long") = 2;
__u64 c SEC(".bss.mine");
const volatile __u64 e SEC(".rodata.mine") = 3;
__u64 f = 5;

SEC("xdp")
int use(struct xdp_md *ctx)
{
	c += a++ + b++ * e + f++;
	return XDP_PASS;
}
