// SPDX-License-Identifier: MIT OR Apache-2.0
/* An object of the program in a map, with a copy for each CPU. The other name as in kptr.c. */
#include "../small.h"

#define percpu_kptr __attribute__((btf_type_tag("percpu_kptr")))
extern void *bpf_percpu_obj_new_impl(__u64 local_type_id, void *meta) __ksym;
extern void bpf_percpu_obj_drop_impl(void *object, void *meta) __ksym;
struct counters {
	__u64 packets;
};
typedef struct counters counted;
struct held {
	counted percpu_kptr *counters;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, int);
	__type(value, struct held);
} each SEC(".maps");

SEC("tc")
int make(struct __sk_buff *skb)
{
	int zero = 0;
	struct held *held = bpf_map_lookup_elem(&each, &zero);
	counted percpu_kptr *made, *old;

	if (!held || !(made = bpf_percpu_obj_new_impl(__builtin_btf_type_id(*(struct counters *)0, 0), 0)))
		return 0;
	old = bpf_kptr_xchg(&held->counters, made);
	if (old)
		bpf_percpu_obj_drop_impl(old, 0);
	return 0;
}
