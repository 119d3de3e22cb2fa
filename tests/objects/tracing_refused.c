// SPDX-License-Identifier: MIT OR Apache-2.0
/* Programs for types of the kernel that are not there, that a kernel may refuse to trace, or that nothing names. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("fentry/do_nanosleep")
int entered(__u64 *ctx)
{
	return 0;
}

SEC("lsm/file_open")
int opened(__u64 *ctx)
{
	return 0;
}

SEC("tp_btf/no_such_tracepoint")
int nothing(__u64 *ctx)
{
	return 0;
}

SEC("fentry")
int unsaid(__u64 *ctx)
{
	return 0;
}

SEC("freplace/other")
int replaced(__u64 *ctx)
{
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
