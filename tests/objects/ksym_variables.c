// SPDX-License-Identifier: MIT OR Apache-2.0
/* Variables of the kernel by type. A kernel without CONFIG_KALLSYMS_ALL refuses them: it has no addresses of variables. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct rq {
	int cpu;
};

extern const struct rq runqueues __ksym;
extern const int bpf_prog_active __ksym;
extern const struct rq bpf_bprintf_nest_level __ksym; /* an int */

__u64 seen;

SEC("raw_tp/sys_enter")
int variables(void *ctx)
{
	const int *active = bpf_per_cpu_ptr(&bpf_prog_active, 0);
	const void *rq = bpf_this_cpu_ptr(&runqueues);

	if (active)
		seen += *active;
	seen += rq != 0;
	return 0;
}

SEC("raw_tp/sys_enter")
int other_type(void *ctx)
{
	seen = (__u64)bpf_this_cpu_ptr(&bpf_bprintf_nest_level);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
