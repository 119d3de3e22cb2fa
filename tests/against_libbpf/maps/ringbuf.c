// SPDX-License-Identifier: MIT OR Apache-2.0
/* Ring buffers of any size, which libbpf and we round. */
#include "../small.h"

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 64 * 1024);
} whole SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 5000);
} odd SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 12288);
} three_pages SEC(".maps");

SEC("xdp")
int tell(struct xdp_md *ctx)
{
	__u64 *place = bpf_ringbuf_reserve(&whole, sizeof(*place), 0), word = 1;

	if (place) {
		*place = bpf_ringbuf_query(&three_pages, BPF_RB_RING_SIZE);
		bpf_ringbuf_submit(place, BPF_RB_NO_WAKEUP);
	}
	bpf_ringbuf_output(&odd, &word, sizeof(word), 0);
	return XDP_PASS;
}
