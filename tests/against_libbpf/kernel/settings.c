// SPDX-License-Identifier: MIT OR Apache-2.0
/* Settings of the kernel, of every kind of value. */
#include "../small.h"

extern unsigned int CONFIG_HZ __kconfig;
extern int CONFIG_NR_CPUS __kconfig;
extern enum libbpf_tristate CONFIG_IPV6 __kconfig;
extern _Bool CONFIG_BPF __kconfig;
extern char CONFIG_NET __kconfig;
extern __u64 CONFIG_LOG_BUF_SHIFT __kconfig;
extern unsigned char CONFIG_MMU __kconfig;
extern char CONFIG_DEFAULT_HOSTNAME[16] __kconfig;
extern char CONFIG_CC_VERSION_TEXT[9] __kconfig;
extern unsigned long CONFIG_ILLEGAL_POINTER_VALUE __kconfig __weak; /* hexadecimal, and only of some machines */
extern unsigned short CONFIG_NODES_SHIFT __kconfig __weak;
extern int LINUX_KERNEL_VERSION __kconfig;
extern _Bool LINUX_HAS_BPF_COOKIE __kconfig;

SEC("xdp")
int use(struct xdp_md *ctx)
{
	return CONFIG_HZ + CONFIG_NR_CPUS + CONFIG_IPV6 + CONFIG_BPF + CONFIG_NET + CONFIG_LOG_BUF_SHIFT + CONFIG_MMU +
	       CONFIG_DEFAULT_HOSTNAME[0] + CONFIG_CC_VERSION_TEXT[1] + CONFIG_ILLEGAL_POINTER_VALUE + CONFIG_NODES_SHIFT +
	        LINUX_KERNEL_VERSION + LINUX_HAS_BPF_COOKIE;
}
