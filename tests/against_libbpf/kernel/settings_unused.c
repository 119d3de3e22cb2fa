// SPDX-License-Identifier: MIT OR Apache-2.0
/* A setting that no program looks at. */
#include "../small.h"

extern int CONFIG_HZ __kconfig;
extern int CONFIG_NR_CPUS __kconfig;

SEC("xdp")
int use(struct xdp_md *ctx)
{
	return CONFIG_NR_CPUS;
}

SEC("xdp")
int pass(struct xdp_md *ctx)
{
	return XDP_PASS;
}
