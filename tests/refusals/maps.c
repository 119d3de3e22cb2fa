// SPDX-License-Identifier: MIT OR Apache-2.0
// Programs that use maps as the verifier does not let them.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u8[16]);
} rows SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} counts SEC(".maps");

const volatile int limit = 4;

SEC("xdp")
int no_null_check(struct xdp_md *ctx)
{
	__u32 key = 0;
	__u64 *count = bpf_map_lookup_elem(&counts, &key);

	*count += 1;
	return XDP_PASS;
}

SEC("xdp")
int arithmetic_before_null_check(struct xdp_md *ctx)
{
	__u32 key = 0;
	char *count = bpf_map_lookup_elem(&counts, &key);

	asm volatile("%0 += 4" : "+r"(count));
	return count ? *count : XDP_PASS;
}

SEC("xdp")
int index_without_end(struct xdp_md *ctx)
{
	__u32 key = 0;
	__u8 *row = bpf_map_lookup_elem(&rows, &key);

	return row ? row[ctx->rx_queue_index] : XDP_PASS;
}

SEC("xdp")
int index_too_large(struct xdp_md *ctx)
{
	__u32 key = 0;
	__u8 *row = bpf_map_lookup_elem(&rows, &key);

	return row ? row[ctx->rx_queue_index & 31] : XDP_PASS;
}

SEC("xdp")
int index_below_zero(struct xdp_md *ctx)
{
	__u32 key = 0;
	__u8 *row = bpf_map_lookup_elem(&rows, &key);
	int index = bpf_get_prandom_u32();

	if (!row || index > 15)
		return XDP_PASS;
	return row[index];
}

SEC("xdp")
int write_constant(struct xdp_md *ctx)
{
	*(volatile int *)&limit = 5;
	return XDP_PASS;
}

SEC("xdp")
int context_as_key(struct xdp_md *ctx)
{
	return bpf_map_lookup_elem(&counts, ctx) ? XDP_DROP : XDP_PASS;
}

SEC("xdp")
int wrong_map_type(struct xdp_md *ctx)
{
	return bpf_redirect_map(&counts, 0, 0);
}

char _license[] SEC("license") = "Dual MIT/GPL";
