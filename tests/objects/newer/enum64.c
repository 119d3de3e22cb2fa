// SPDX-License-Identifier: MIT OR Apache-2.0
/* Enums whose values need 64 bits: a kind of BTF of their own since clang 15, which kernels know since 6.0. Who does not
 * know it takes the object all the same. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

enum large { SMALL = 1, LARGE = 0x123456789abULL };
enum below { ZERO, NEGATIVE = -0x123456789aLL };

struct sample {
	enum large large;
	enum below below;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct sample);
} samples SEC(".maps");

volatile const enum large limit = LARGE;

SEC("xdp")
int pass(struct xdp_md *ctx)
{
	__u32 key = 0;
	struct sample *sample = bpf_map_lookup_elem(&samples, &key);

	if (sample && sample->large == limit)
		return XDP_DROP;
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "GPL";
