// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * `struct bpf_map_def` of libbpf before 1.0. WORDS tells how long it is: five words, or seven,
 * where the last two are what the kernel's old samples and aya put there. Others have four, and
 * call the first as they like.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#if WORDS == 4
#define type map_type
#endif

struct bpf_map_def {
	__u32 type;
	__u32 key_size;
	__u32 value_size;
	__u32 max_entries;
#if WORDS >= 5
	__u32 map_flags;
#endif
#if WORDS == 7
	__u32 id;
	__u32 pinning;
#endif
};

struct bpf_map_def SEC("maps") counts = {
	.type = BPF_MAP_TYPE_ARRAY,
	.key_size = sizeof(__u32),
	.value_size = sizeof(__u64),
	.max_entries = 2,
};

struct bpf_map_def SEC("maps") hosts = {
	.type = BPF_MAP_TYPE_HASH,
	.key_size = sizeof(__u32),
	.value_size = sizeof(__u32),
	.max_entries = 100,
#if WORDS >= 5
	.map_flags = BPF_F_NO_PREALLOC,
#endif
#if WORDS == 7
	.pinning = 1, /* by name */
#endif
};

SEC("xdp")
int count(struct xdp_md *ctx)
{
	__u32 key = 1;
	__u64 *n = bpf_map_lookup_elem(&counts, &key);
	__u32 *host = bpf_map_lookup_elem(&hosts, &key);

	if (n && !host)
		*n += 1;
	return XDP_PASS;
}

__u32 VERSION SEC("version") = 0x050400; /* kernels before 5.0 asked for theirs here */

char LICENSE[] SEC("license") = "Dual MIT/GPL";
