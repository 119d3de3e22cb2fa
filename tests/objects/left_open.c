// SPDX-License-Identifier: MIT OR Apache-2.0
/* Sizes that an object leaves open: the kernel's own where it has them, and those that a manifest has to say. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
} events SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_CPUMAP);
	__uint(key_size, 4);
	__uint(value_size, 4);
} cpus SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_STACK_TRACE);
	__uint(key_size, 4);
} stacks SEC(".maps");

SEC("xdp")
int spread(struct xdp_md *ctx)
{
	__u32 seen = ctx->rx_queue_index;

	bpf_perf_event_output(ctx, &events, BPF_F_CURRENT_CPU, &seen, sizeof(seen));
	return bpf_redirect_map(&cpus, 0, XDP_PASS);
}

SEC("tracepoint/sched/sched_switch")
int sample(void *ctx)
{
	return bpf_get_stackid(ctx, &stacks, 0) < 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
