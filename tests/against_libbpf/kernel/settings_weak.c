// SPDX-License-Identifier: MIT OR Apache-2.0
/* Settings that are not there, and may be missing. */
#include "../small.h"

extern int CONFIG_NO_SUCH_NUMBER __kconfig __weak;
extern _Bool CONFIG_NO_SUCH_SWITCH __kconfig __weak;
extern enum libbpf_tristate CONFIG_NO_SUCH_CHOICE __kconfig __weak;
extern char CONFIG_NO_SUCH_TEXT[7] __kconfig __weak;
extern char LINUX_NO_SUCH_THING __kconfig __weak;
extern __u64 CONFIG_HZ __kconfig __weak;

SEC("xdp")
int use(struct xdp_md *ctx)
{
	if (CONFIG_NO_SUCH_SWITCH)
		return *(volatile int *)0;
	return CONFIG_NO_SUCH_NUMBER + CONFIG_NO_SUCH_CHOICE + CONFIG_NO_SUCH_TEXT[3] + LINUX_NO_SUCH_THING + CONFIG_HZ;
}
