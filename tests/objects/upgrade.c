// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * A filter that drops everything, in versions: 2 has other code than 1, 3 has one global variable more than 2.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} drops SEC(".maps");

const volatile __u64 step = 1;

__u64 seen;
#if VERSION >= 3
__u64 seen_bytes;
#endif

SEC("xdp")
int drop(struct xdp_md *ctx)
{
	__u32 key = 0;
	__u64 *count = bpf_map_lookup_elem(&drops, &key);

	if (count)
		__sync_fetch_and_add(count, step * VERSION);
	seen += 1;
#if VERSION >= 3
	seen_bytes += ctx->data_end - ctx->data;
#endif
	return XDP_DROP;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
