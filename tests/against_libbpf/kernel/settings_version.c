// SPDX-License-Identifier: MIT OR Apache-2.0
/* Only the version of the kernel, as a type with another name. */
#include "../small.h"

typedef unsigned int version_t;
extern const version_t LINUX_KERNEL_VERSION __kconfig;

SEC("xdp")
int use(struct xdp_md *ctx)
{
	return LINUX_KERNEL_VERSION >= 0x060000 ? XDP_PASS : XDP_DROP;
}
