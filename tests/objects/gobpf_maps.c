// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * gobpf's `struct bpf_map_def`, of 280 bytes. Its pins are below a folder that `namespace` or the
 * program around it names, so that only a manifest can say them: here for two of the three maps.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

enum bpf_pin_type { PIN_NONE, PIN_OBJECT_NS, PIN_GLOBAL_NS, PIN_CUSTOM_NS };

struct bpf_map_def {
	unsigned int type;
	unsigned int key_size;
	unsigned int value_size;
	unsigned int max_entries;
	unsigned int map_flags;
	unsigned int pinning;
	char namespace[256];
};

struct bpf_map_def SEC("maps/own") own = {
	.type = BPF_MAP_TYPE_HASH,
	.key_size = sizeof(__u32),
	.value_size = sizeof(__u64),
	.max_entries = 16,
	.namespace = "app",
};

struct bpf_map_def SEC("maps/shared") shared = {
	.type = BPF_MAP_TYPE_HASH,
	.key_size = sizeof(__u32),
	.value_size = sizeof(__u64),
	.max_entries = 32,
	.map_flags = BPF_F_NO_PREALLOC,
	.pinning = PIN_GLOBAL_NS,
	.namespace = "app",
};

struct bpf_map_def SEC("maps/placed") placed = {
	.type = BPF_MAP_TYPE_ARRAY,
	.key_size = sizeof(__u32),
	.value_size = sizeof(__u32),
	.max_entries = 1,
	.pinning = PIN_CUSTOM_NS,
};

SEC("xdp")
int pass(struct xdp_md *ctx)
{
	return XDP_PASS;
}

SEC("socket/own")
int uses_own(struct __sk_buff *skb)
{
	__u32 key = 0;

	return bpf_map_lookup_elem(&own, &key) != 0;
}

SEC("socket/both")
int uses_both(struct __sk_buff *skb)
{
	__u32 key = 0;

	return bpf_map_lookup_elem(&shared, &key) && bpf_map_lookup_elem(&placed, &key);
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
