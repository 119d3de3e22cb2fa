// SPDX-License-Identifier: MIT OR Apache-2.0
/* A map of every type that a definition can make. Compiled with OTHER, each has a value (or a template) of the same size that is
 * laid out in another way.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

/* What the headers of clang's distribution may not have yet. */
#define CGRP_STORAGE 32
#define ARENA 33
#define ADDRESS(name, value) enum { address_of_arena = value } name

#ifndef OTHER
struct value {
	__u32 packets;
	__u32 bytes;
};
#define INNER 4
#define HASHES 2
#else
struct value {
	__u32 bytes;
	__u32 packets;
};
#define INNER 8
#define HASHES 3
#endif

struct address {
	__u32 prefix;
	__u8 bytes[4];
};

struct storage_key {
	__u64 cgroup;
	__u32 attach_type;
};

#define MAP(NAME, TYPE, KEY, SIZE, ...)			\
	struct {					\
		__uint(type, TYPE);			\
		__uint(max_entries, SIZE);		\
		__type(key, KEY);			\
		__type(value, struct value);		\
		__VA_ARGS__				\
	} NAME SEC(".maps")

/* Slots hold descriptors, of which the kernel takes no types. */
#define SLOTS(NAME, TYPE, VALUE, SIZE, ...)		\
	struct {					\
		__uint(type, TYPE);			\
		__uint(max_entries, SIZE);		\
		__uint(key_size, 4);			\
		__uint(value_size, VALUE);		\
		__VA_ARGS__				\
	} NAME SEC(".maps")

#define KEYLESS(NAME, TYPE, SIZE, ...)			\
	struct {					\
		__uint(type, TYPE);			\
		__uint(max_entries, SIZE);		\
		__type(value, struct value);		\
		__VA_ARGS__				\
	} NAME SEC(".maps")

MAP(hash, BPF_MAP_TYPE_HASH, __u32, 10);
MAP(hash_rdonly, BPF_MAP_TYPE_HASH, __u32, 10, __uint(map_flags, BPF_F_RDONLY););
MAP(hash_wronly, BPF_MAP_TYPE_HASH, __u32, 10, __uint(map_flags, BPF_F_WRONLY | BPF_F_NO_PREALLOC););
MAP(hash_seed, BPF_MAP_TYPE_HASH, __u32, 10, __uint(map_flags, BPF_F_ZERO_SEED););
MAP(hash_numa, BPF_MAP_TYPE_HASH, __u32, 10, __uint(map_flags, BPF_F_NUMA_NODE); __uint(numa_node, 0););
MAP(percpu_hash, BPF_MAP_TYPE_PERCPU_HASH, __u32, 10);
MAP(lru_hash, BPF_MAP_TYPE_LRU_HASH, __u32, 1001);
MAP(lru_hash_each, BPF_MAP_TYPE_LRU_HASH, __u32, 1001, __uint(map_flags, BPF_F_NO_COMMON_LRU););
MAP(lru_percpu_hash, BPF_MAP_TYPE_LRU_PERCPU_HASH, __u32, 1001, __uint(map_flags, BPF_F_NO_COMMON_LRU););
MAP(array, BPF_MAP_TYPE_ARRAY, __u32, 10);
MAP(array_mmapable, BPF_MAP_TYPE_ARRAY, __u32, 10, __uint(map_flags, BPF_F_MMAPABLE););
MAP(array_rdonly_prog, BPF_MAP_TYPE_ARRAY, __u32, 10, __uint(map_flags, BPF_F_RDONLY_PROG););
MAP(percpu_array, BPF_MAP_TYPE_PERCPU_ARRAY, __u32, 10);
MAP(lpm_trie, BPF_MAP_TYPE_LPM_TRIE, struct address, 10, __uint(map_flags, BPF_F_NO_PREALLOC););
MAP(cgroup_storage, BPF_MAP_TYPE_CGROUP_STORAGE, struct storage_key, 0);
MAP(percpu_cgroup_storage, BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE, struct storage_key, 0);
MAP(sk_storage, BPF_MAP_TYPE_SK_STORAGE, int, 0, __uint(map_flags, BPF_F_NO_PREALLOC););
MAP(inode_storage, BPF_MAP_TYPE_INODE_STORAGE, int, 0, __uint(map_flags, BPF_F_NO_PREALLOC););
MAP(task_storage, BPF_MAP_TYPE_TASK_STORAGE, int, 0, __uint(map_flags, BPF_F_NO_PREALLOC););
MAP(cgrp_storage, CGRP_STORAGE, int, 0, __uint(map_flags, BPF_F_NO_PREALLOC););

SLOTS(prog_array, BPF_MAP_TYPE_PROG_ARRAY, 4, 10);
SLOTS(perf_event_array, BPF_MAP_TYPE_PERF_EVENT_ARRAY, 4, 0);
SLOTS(cgroup_array, BPF_MAP_TYPE_CGROUP_ARRAY, 4, 10);
SLOTS(stack_trace, BPF_MAP_TYPE_STACK_TRACE, 1016, 10);
SLOTS(devmap, BPF_MAP_TYPE_DEVMAP, 8, 10);
SLOTS(devmap_hash, BPF_MAP_TYPE_DEVMAP_HASH, 8, 10);
SLOTS(sockmap, BPF_MAP_TYPE_SOCKMAP, 8, 10);
SLOTS(sockhash, BPF_MAP_TYPE_SOCKHASH, 8, 10);
SLOTS(cpumap, BPF_MAP_TYPE_CPUMAP, 8, 0);
SLOTS(xskmap, BPF_MAP_TYPE_XSKMAP, 4, 10);
SLOTS(reuseport_sockarray, BPF_MAP_TYPE_REUSEPORT_SOCKARRAY, 8, 10);

KEYLESS(queue, BPF_MAP_TYPE_QUEUE, 10);
KEYLESS(stack, BPF_MAP_TYPE_STACK, 10);
KEYLESS(bloom_filter, BPF_MAP_TYPE_BLOOM_FILTER, 10, __uint(map_extra, HASHES););

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 5000);
} ringbuf SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_USER_RINGBUF);
	__uint(max_entries, 12288);
} user_ringbuf SEC(".maps");

struct {
	__uint(type, ARENA);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 4);
	ADDRESS(map_extra, (HASHES - 1) << 30);
} arena SEC(".maps");

struct inner {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, INNER);
	__type(key, __u32);
	__type(value, struct value);
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 10);
	__type(key, __u32);
	__array(values, struct inner);
} array_of_maps SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH_OF_MAPS);
	__uint(max_entries, 10);
	__type(key, __u32);
	__array(values, struct inner);
} hash_of_maps SEC(".maps");

char license_text[] SEC("license") = "Dual MIT/GPL";
