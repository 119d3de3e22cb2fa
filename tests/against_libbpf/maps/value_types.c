// SPDX-License-Identifier: MIT OR Apache-2.0
/* Values of every shape. */
#include "../small.h"

enum mood { GOOD, BAD = -7 };
struct odd {
	__u8 a;
	__u16 b : 3, c : 9;
	union {
		__u32 word;
		__u8 bytes[4];
	};
	enum mood mood;
	struct odd *next;
	__u64 far[2][3];
	int (*call)(struct odd *);
} __attribute__((packed));

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4);
	__type(key, enum mood);
	__type(value, struct odd);
} odds SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4);
	__type(key, __u8[6]);
	__type(value, char[32]);
} bytes SEC(".maps");

SEC("xdp")
int look(struct xdp_md *ctx)
{
	enum mood key = BAD;
	__u8 mac[6] = {};

	return bpf_map_lookup_elem(&odds, &key) || bpf_map_lookup_elem(&bytes, mac) ? XDP_PASS : XDP_DROP;
}
