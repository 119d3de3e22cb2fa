/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Two maps that programs of five types share, of two objects. */
#include <linux/bpf.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

enum place { XDP, TC_INGRESS, TC_EGRESS, CONNECT4, SK_LOOKUP, NETFILTER, PLACES };

/* UDP ports that are blocked, wherever that can be. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 64);
	__type(key, __u32);
	__type(value, __u8);
} blocked SEC(".maps");

/* How often each program ran: version 1 counts by 1, version 2 by 1000. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, PLACES);
	__type(key, __u32);
	__type(value, __u64);
} seen SEC(".maps");

static __always_inline void count(enum place place)
{
	__u32 key = place;
	__u64 *times = bpf_map_lookup_elem(&seen, &key);

	if (times)
		__sync_fetch_and_add(times, VERSION == 1 ? 1 : 1000);
}

static __always_inline int is_blocked(__u32 port)
{
	return bpf_map_lookup_elem(&blocked, &port) != 0;
}
