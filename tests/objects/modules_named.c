// SPDX-License-Identifier: MIT OR Apache-2.0
/* Targets in the module that the section names, and a variable of a module. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

extern const int no_such_variable __ksym __weak;

__u64 seen;

SEC("fexit/nf_conntrack:nf_conntrack_in")
int left(void *ctx)
{
	seen += &no_such_variable != 0;
	return 0;
}

SEC("fentry/vmlinux:do_nanosleep")
int of_kernel(void *ctx)
{
	seen++;
	return 0;
}

SEC("fentry/no_such_module:nf_conntrack_in")
int of_nobody(void *ctx)
{
	seen++;
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
