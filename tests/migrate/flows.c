// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * Counts packets by flow, and drops them. VERSION 2 has other values in each map, and tells in `since` what it counted
 * itself: the rest of `packets` is what it was given.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct flow {
	__u32 address;
	__u32 number;
};

#if VERSION == 1
#define RECENT_TYPE BPF_MAP_TYPE_HASH

struct seen {
	__u32 port;
	__u64 packets;
	__u64 bytes;
};

struct host {
	__u64 packets;
};

struct limit {
	__u16 burst;
	__s32 margin;
};
#else
#define RECENT_TYPE BPF_MAP_TYPE_LRU_HASH

struct seen {
	__u64 packets;
	__u64 bytes;
	__u64 since;
	__u32 port;
	__u32 mark;
};

struct host {
	__u64 bytes;
	__u64 packets;
};

struct limit {
	__u32 burst;
	__s16 margin;
};
#endif

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, struct flow);
	__type(value, struct seen);
} flows SEC(".maps");

struct {
	__uint(type, RECENT_TYPE);
	__uint(max_entries, 1024);
	__type(key, __u32);
	__type(value, __u64);
} recent SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, 64);
	__type(key, __u32);
	__type(value, struct host);
} hosts SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 8);
	__type(key, __u32);
	__type(value, struct limit);
} limits SEC(".maps");

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
	struct seen first = { .packets = 1 }, *seen;
	struct flow flow = {};

	if ((void *)(packet + 1) > (void *)(long)ctx->data_end)
		return XDP_DROP;
	flow.address = packet->source;
	flow.number = packet->number;
	seen = bpf_map_lookup_elem(&flows, &flow);
	if (!seen) {
#if VERSION > 1
		first.since = 1;
#endif
		bpf_map_update_elem(&flows, &flow, &first, BPF_NOEXIST);
		return XDP_DROP;
	}
	seen->packets += 1;
#if VERSION > 1
	seen->since += 1;
#endif
	return XDP_DROP;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
