// SPDX-License-Identifier: MIT OR Apache-2.0
/* A setting that does not fit the type. */
#include "../small.h"

extern _Bool CONFIG_HZ __kconfig;

SEC("xdp")
int use(struct xdp_md *ctx)
{
	return CONFIG_HZ;
}
