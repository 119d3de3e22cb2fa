// SPDX-License-Identifier: MIT OR Apache-2.0
/* Probes of programs, libraries and the kernel, by what their sections say; USDT as libbpf's header has it. */
#include <linux/bpf.h>
#include <stdbool.h>
#define __TARGET_ARCH_x86
#include <linux/ptrace.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <bpf/usdt.bpf.h>

__u64 seen;

SEC("usdt//usr/bin/python3:python:function__entry")
int BPF_USDT(python, void *file, void *function, int line)
{
	seen += line;
	return 0;
}

SEC("usdt")
int anywhere(struct pt_regs *ctx)
{
	seen += bpf_usdt_arg_cnt(ctx);
	return 0;
}

SEC("uprobe//usr/bin/bash:readline+0x4")
int shell(struct pt_regs *ctx)
{
	seen++;
	return 0;
}

SEC("uretprobe/libc.so.6:malloc")
int allocated(struct pt_regs *ctx)
{
	seen++;
	return 0;
}

SEC("kretprobe/do_nanosleep")
int slept(struct pt_regs *ctx)
{
	seen++;
	return 0;
}

SEC("ksyscall/nanosleep")
int sleeps(struct pt_regs *ctx)
{
	seen++;
	return 0;
}

SEC("tp/sched/sched_switch")
int switched(void *ctx)
{
	seen++;
	return 0;
}

SEC("usdt/python3:function__entry")
int unnamed(struct pt_regs *ctx)
{
	seen++;
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
