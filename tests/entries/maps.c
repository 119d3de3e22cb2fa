// SPDX-License-Identifier: MIT OR Apache-2.0
/* Maps whose keys and values are what filters have: addresses, prefixes, ports, names, counters. */
#include <stdbool.h>
#include <linux/bpf.h>
#include <linux/in.h>
#include <linux/in6.h>
#include <bpf/bpf_helpers.h>

enum verdict { PASS, DROP, LATER = -1 };

struct prefix4 {
	__u32 prefixlen;
	__be32 addr;
};

struct prefix6 {
	__u32 prefixlen;
	struct in6_addr addr;
};

struct tagged {
	__u32 prefixlen;
	__u16 zone;
	__u8 addr[6];
};

struct flow {
	__be32 src;
	struct in_addr dst;
	__be16 port;
	__u8 proto;
};

union address {
	__be32 v4;
	struct in6_addr v6;
};

struct rule {
	enum verdict verdict;
	bool log;
	char name[7];
	unsigned int low : 3, high : 13;
	__u8 mac[6];
	union address via;
	__u16 ports[2];
	struct {
		__u64 packets;
	} seen;
	__be64 cookie;
	double share;
};

#define MAP(name, map_type, key_type, value_type, entries) \
	struct {                                           \
		__uint(type, BPF_MAP_TYPE_##map_type);     \
		__uint(max_entries, entries);              \
		__type(key, key_type);                     \
		__type(value, value_type);                 \
	} name SEC(".maps")

#define TRIE(name, key_type)                               \
	struct {                                           \
		__uint(type, BPF_MAP_TYPE_LPM_TRIE);       \
		__uint(max_entries, 2000000);              \
		__uint(map_flags, BPF_F_NO_PREALLOC);      \
		__type(key, key_type);                     \
		__type(value, __u32);                      \
	} name SEC(".maps")

TRIE(nets4, struct prefix4);
TRIE(nets6, struct prefix6);
TRIE(tagged, struct tagged);
MAP(hosts, HASH, __u32, __u8, 4);
MAP(ports, HASH, __be16, enum verdict, 4);
MAP(macs, LRU_HASH, __u8[6], bool, 4);
MAP(names, HASH, char[16], __s32, 4);
MAP(sixes, HASH, union address, __u8, 4);
MAP(flows, HASH, struct flow, __u64, 2000000);
MAP(rules, HASH, __u16, struct rule, 16);
MAP(settings, ARRAY, __u32, struct rule, 2);
MAP(counts, PERCPU_ARRAY, __u32, __u32, 2);
MAP(parts, PERCPU_HASH, __u32, __u16[2], 2);

unsigned int limit = 1;
struct in6_addr gateway;
__be16 listen;

SEC("xdp")
int filter(struct xdp_md *context)
{
	return limit + listen + gateway.in6_u.u6_addr8[0];
}

SEC("xdp")
int other(struct xdp_md *context)
{
	return XDP_PASS;
}

char license_text[] SEC("license") = "Dual MIT/GPL";
