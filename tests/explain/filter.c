// SPDX-License-Identifier: MIT OR Apache-2.0
// A filter in two versions, of which the second (NEXT) has another constant in its code, in its read-only data, another
// size and other values of its map.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct verdict {
	__u32 action;
#ifdef WIDE
	__u64 packets;
#else
	__u32 packets;
#endif
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, __u32);
	__type(value, struct verdict);
	__uint(max_entries, 64);
} verdicts SEC(".maps");

const volatile __u32 shortest = 20;

static __attribute__((noinline)) int of_length(__u32 length)
{
#ifdef NEXT
	return length > 1280 ? XDP_DROP : XDP_PASS;
#else
	return length > 640 ? XDP_DROP : XDP_PASS;
#endif
}

SEC("xdp")
int filter(struct xdp_md *context)
{
	__u32 length = context->data_end - context->data;
	if (length < shortest)
		return XDP_DROP;
	struct verdict *found = bpf_map_lookup_elem(&verdicts, &length);
	if (found)
		return found->action;
	return of_length(length);
}

char LICENSE[] SEC("license") = "GPL";
