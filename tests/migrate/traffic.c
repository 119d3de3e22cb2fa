// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * Counts packets by flow, and drops them: in `before`, and with `is_new` in `after`, so that it can be told what a map was
 * given and what its programs counted since. TYPE is that of the map; WIDE_KEY and WIDE_VALUE have larger numbers.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#ifdef WIDE_KEY
typedef __u64 number_t;
#else
typedef __u32 number_t;
#endif

#ifdef WIDE_VALUE
typedef __u64 count_t;
#else
typedef __u32 count_t;
#endif

struct flow {
	number_t number;
	number_t address;
};

struct seen {
	count_t before;
	count_t after;
};

struct {
	__uint(type, TYPE);
	__uint(max_entries, 1024);
	__type(key, struct flow);
	__type(value, struct seen);
} flows SEC(".maps");

const volatile __u32 is_new = 0;

/* Behind Ethernet, IPv4 without options, and UDP. */
struct packet {
	__u8 before[26];
	__u32 source;
	__u8 between[12];
	__u32 number;
} __attribute__((packed));

SEC("xdp")
int count(struct xdp_md *ctx)
{
	struct packet *packet = (void *)(long)ctx->data;
	struct seen first = {}, *seen;
	struct flow flow = {};

	if ((void *)(packet + 1) > (void *)(long)ctx->data_end)
		return XDP_DROP;
	flow.number = packet->number;
	flow.address = packet->source;
	seen = bpf_map_lookup_elem(&flows, &flow);
	if (!seen) {
		first.before = !is_new;
		first.after = !!is_new;
		bpf_map_update_elem(&flows, &flow, &first, BPF_NOEXIST);
		return XDP_DROP;
	}
	if (is_new)
		seen->after += 1;
	else
		seen->before += 1;
	return XDP_DROP;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
