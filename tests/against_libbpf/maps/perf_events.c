// SPDX-License-Identifier: MIT OR Apache-2.0
/* Perf event arrays: without a size there is one slot for each CPU. */
#include "../small.h"

struct {
	__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
	__uint(key_size, 4);
	__uint(value_size, 4);
} all SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
	__uint(max_entries, 2);
	__uint(key_size, 4);
	__uint(value_size, 4);
} two SEC(".maps");

SEC("xdp")
int tell(struct xdp_md *ctx)
{
	__u64 word = 7;

	bpf_perf_event_output(ctx, &all, BPF_F_CURRENT_CPU, &word, sizeof(word));
	bpf_perf_event_output(ctx, &two, 1, &word, sizeof(word));
	return XDP_PASS;
}
