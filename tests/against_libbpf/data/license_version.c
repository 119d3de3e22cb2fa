// SPDX-License-Identifier: MIT OR Apache-2.0
/* The number of the kernel that it was written for. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

__u32 written_for SEC("version") = 0x050a01;

SEC("kprobe/tcp_connect")
int probe(void *ctx)
{
	return 0;
}

char text[] SEC("license") = "GPL";
