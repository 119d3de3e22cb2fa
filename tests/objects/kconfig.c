// SPDX-License-Identifier: MIT OR Apache-2.0
/* Values of the kernel's configuration, of every kind, and what libbpf adds to them. */
#include <linux/bpf.h>
#include <stdbool.h>
#include <bpf/bpf_helpers.h>

typedef int version_code;

extern bool CONFIG_BPF_SYSCALL __kconfig;
extern enum libbpf_tristate CONFIG_NET __kconfig;
extern char CONFIG_BPF __kconfig;
extern int CONFIG_HZ __kconfig;
extern unsigned long CONFIG_ILLEGAL_POINTER_VALUE __kconfig __weak;
extern unsigned short CONFIG_NR_CPUS __kconfig;
extern char CONFIG_CC_VERSION_TEXT[9] __kconfig;
extern version_code LINUX_KERNEL_VERSION __kconfig;
extern bool LINUX_HAS_BPF_COOKIE __kconfig;
extern bool LINUX_HAS_SYSCALL_WRAPPER __kconfig;
extern int CONFIG_NO_SUCH_THING __kconfig __weak;
extern char LINUX_NO_SUCH_THING __kconfig __weak;

__u64 sum;

SEC("xdp")
int settings(struct xdp_md *ctx)
{
	sum = CONFIG_BPF_SYSCALL + CONFIG_NET + CONFIG_BPF + CONFIG_HZ + CONFIG_ILLEGAL_POINTER_VALUE;
	sum += CONFIG_NR_CPUS + CONFIG_CC_VERSION_TEXT[1] + LINUX_KERNEL_VERSION + LINUX_HAS_BPF_COOKIE;
	sum += LINUX_HAS_SYSCALL_WRAPPER + CONFIG_NO_SUCH_THING + LINUX_NO_SUCH_THING;
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
