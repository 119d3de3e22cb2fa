// SPDX-License-Identifier: MIT OR Apache-2.0
/* Maps as aya's Rust programs have them: the definition lies inside of other structs, and its type is `type_`. Such
 * objects often say no license. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct bpf_map_def {
	__u32 type_;
	__u32 key_size;
	__u32 value_size;
	__u32 max_entries;
	__u32 map_flags;
	__u32 id;
	__u32 pinning;
};

struct UnsafeCell {
	struct bpf_map_def value;
};

struct MapDef {
	struct UnsafeCell __0;
};

struct PhantomData {
};

struct HashMap {
	struct MapDef def;
	struct PhantomData _kv;
};

struct HashMap hits SEC("maps") = {
	.def.__0.value = {
		.type_ = BPF_MAP_TYPE_HASH,
		.key_size = sizeof(__u32),
		.value_size = sizeof(__u64),
		.max_entries = 16,
		.map_flags = BPF_F_NO_PREALLOC,
		.pinning = LIBBPF_PIN_BY_NAME,
	},
};

SEC("xdp")
int count(struct xdp_md *ctx)
{
	__u32 key = ctx->ingress_ifindex;
	__u64 *seen = bpf_map_lookup_elem(&hits, &key);

	if (seen)
		__sync_fetch_and_add(seen, 1);
	return XDP_PASS;
}

SEC("classifier")
int tell(struct __sk_buff *skb)
{
	bpf_printk("for GPL programs only");
	return -1;
}
