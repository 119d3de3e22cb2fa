// SPDX-License-Identifier: MIT OR Apache-2.0
/* Packets as dynamic pointers. */
#include "../small.h"

extern int bpf_dynptr_from_xdp(struct xdp_md *xdp, __u64 flags, struct bpf_dynptr *ptr) __ksym;
extern void *bpf_dynptr_slice(const struct bpf_dynptr *ptr, __u32 offset, void *buffer, __u32 size) __ksym;

SEC("xdp")
int use(struct xdp_md *ctx)
{
	struct bpf_dynptr packet;
	__u8 buffer[14], *ethernet;

	if (bpf_dynptr_from_xdp(ctx, 0, &packet))
		return XDP_ABORTED;
	ethernet = bpf_dynptr_slice(&packet, 0, buffer, sizeof(buffer));
	return ethernet && ethernet[12] == 8 ? XDP_PASS : XDP_DROP;
}
