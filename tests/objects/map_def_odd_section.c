// SPDX-License-Identifier: MIT OR Apache-2.0
/* Legacy maps in a section that ends in `/maps`, as an infrared decoder has them. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct bpf_map_def {
	__u32 type;
	__u32 key_size;
	__u32 value_size;
	__u32 max_entries;
	__u32 map_flags;
};

struct bpf_map_def SEC("lirc_mode2/maps") decoder_state = {
	.type = BPF_MAP_TYPE_ARRAY,
	.key_size = sizeof(__u32),
	.value_size = sizeof(__u64),
	.max_entries = 1,
};

SEC("lirc_mode2/decoder")
int decode(__u32 *sample)
{
	__u32 key = 0;
	__u64 *state = bpf_map_lookup_elem(&decoder_state, &key);

	if (state)
		*state = *sample;
	return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
