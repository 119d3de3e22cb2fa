// SPDX-License-Identifier: MIT OR Apache-2.0
/* Functions that are told types of the object: a new object, and a cast. */
#include "../small.h"

extern void *bpf_obj_new_impl(__u64 local_type_id, void *meta) __ksym;
extern void bpf_obj_drop_impl(void *object, void *meta) __ksym;
struct item {
	__u64 a, b;
};

SEC("tc")
int use(struct __sk_buff *skb)
{
	struct item *item = bpf_obj_new_impl(__builtin_btf_type_id(*(struct item *)0, 0), 0);

	if (!item)
		return 0;
	item->a = skb->len;
	bpf_obj_drop_impl(item, 0);
	return 0;
}
