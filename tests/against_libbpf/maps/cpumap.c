// SPDX-License-Identifier: MIT OR Apache-2.0
/* CPUs to go on with. */
#include "../small.h"

struct {
	__uint(type, BPF_MAP_TYPE_CPUMAP);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, struct bpf_cpumap_val);
} cpus SEC(".maps");

SEC("xdp")
int spread(struct xdp_md *ctx)
{
	return bpf_redirect_map(&cpus, ctx->rx_queue_index & 1, XDP_PASS);
}

SEC("xdp/cpumap")
int there(struct xdp_md *ctx)
{
	return XDP_PASS;
}
