// SPDX-License-Identifier: MIT OR Apache-2.0
/* String literals: clang puts them into `.rodata.str1.1`, without a symbol that BTF knows. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("xdp")
int speak(struct xdp_md *ctx)
{
	bpf_trace_printk("first %d\n", sizeof("first %d\n"), 1);
	bpf_trace_printk("second %d\n", sizeof("second %d\n"), 2);
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "GPL";
