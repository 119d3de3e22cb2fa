// SPDX-License-Identifier: MIT OR Apache-2.0
/* A setting that has to be there, and is not. */
#include "../small.h"

extern int CONFIG_NO_SUCH_NUMBER __kconfig;

SEC("xdp")
int use(struct xdp_md *ctx)
{
	return CONFIG_NO_SUCH_NUMBER;
}
