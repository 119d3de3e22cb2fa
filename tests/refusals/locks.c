// SPDX-License-Identifier: MIT OR Apache-2.0
// Programs that lock as the verifier does not let them.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct row {
	struct bpf_spin_lock lock;
	int count;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct row);
} rows SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(struct row));
} untyped SEC(".maps");

SEC("xdp")
int calls_under_a_lock(struct xdp_md *ctx)
{
	__u32 key = 0;
	struct row *row = bpf_map_lookup_elem(&rows, &key);

	if (!row)
		return XDP_PASS;
	bpf_spin_lock(&row->lock);
	row->count = bpf_get_prandom_u32();
	bpf_spin_unlock(&row->lock);
	return XDP_PASS;
}

SEC("xdp")
int ends_under_a_lock(struct xdp_md *ctx)
{
	__u32 key = 0;
	struct row *row = bpf_map_lookup_elem(&rows, &key);

	if (!row)
		return XDP_PASS;
	bpf_spin_lock(&row->lock);
	row->count = 1;
	return XDP_PASS;
}

SEC("xdp")
int lock_without_types(struct xdp_md *ctx)
{
	__u32 key = 0;
	struct row *row = bpf_map_lookup_elem(&untyped, &key);

	if (!row)
		return XDP_PASS;
	bpf_spin_lock(&row->lock);
	bpf_spin_unlock(&row->lock);
	return XDP_PASS;
}

char _license[] SEC("license") = "Dual MIT/GPL";
