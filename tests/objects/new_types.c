// SPDX-License-Identifier: MIT OR Apache-2.0
/* Kinds of BTF that came one by one: functions that are global (5.6), floats (5.13), tags (5.16, 5.17). Who does not know
 * them takes the object all the same. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#define TAG(text) __attribute__((btf_decl_tag(text)))
#define TYPE_TAG(text) __attribute__((btf_type_tag(text)))

struct sample {
	float ratio;
	double TYPE_TAG("far") *total TAG("of all");
	int count TAG("rounded");
} TAG("kept");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct sample);
} samples SEC(".maps");

int limit TAG("tuned") = 7;

__noinline int global(struct __sk_buff *skb TAG("context")) TAG("checked alone")
{
	return skb->len > limit;
}

SEC("tc")
int count(struct __sk_buff *skb)
{
	__u32 zero = 0;
	struct sample *sample = bpf_map_lookup_elem(&samples, &zero);

	if (sample)
		sample->count++;
	return global(skb);
}

char LICENSE[] SEC("license") = "GPL";
