// SPDX-License-Identifier: MIT OR Apache-2.0
/* Programs that are loaded for one type of the kernel's BTF, and raw tracepoints, which are not. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

__u64 seen;

SEC("tp_btf/sched_switch")
int switched(__u64 *ctx)
{
	seen += ctx[0];
	return 0;
}

SEC("iter/bpf_map")
int maps(void *ctx)
{
	seen++;
	return 0;
}

SEC("raw_tp/sched_switch")
int raw(struct bpf_raw_tracepoint_args *ctx)
{
	seen += ctx->args[0];
	return 0;
}

SEC("raw_tp.w/bpf_test_finish")
int writable(struct bpf_raw_tracepoint_args *ctx)
{
	seen += *(__u64 *)ctx->args[0];
	return 0;
}

SEC("iter.s/bpf_map")
int sleepable(void *ctx)
{
	seen++;
	return 0;
}

SEC("xdp.frags")
int frags(struct xdp_md *ctx)
{
	return XDP_PASS;
}

SEC("kprobe/do_nanosleep")
int probe(void *ctx)
{
	seen++;
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
