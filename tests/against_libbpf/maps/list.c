// SPDX-License-Identifier: MIT OR Apache-2.0
/* A list of objects, which a tag of the member describes. Only newer headers have its types, and then all of them. */
#include <linux/types.h>

struct bpf_spin_lock { __u32 val; };
struct bpf_list_head { __u64 : 64, : 64; } __attribute__((aligned(8)));
struct bpf_list_node { __u64 : 64, : 64, : 64; } __attribute__((aligned(8)));
struct __sk_buff { __u32 len; };
enum { BPF_MAP_TYPE_ARRAY = 2 };
#include <bpf/bpf_helpers.h>

#define contains(type, member) __attribute__((btf_decl_tag("contains:" #type ":" #member)))
extern void *bpf_obj_new_impl(__u64 local_type_id, void *meta) __ksym;
extern int bpf_list_push_front_impl(struct bpf_list_head *, struct bpf_list_node *, void *meta, __u64 off) __ksym;

struct item {
	__u64 data;
	struct bpf_list_node node;
};

struct items {
	struct bpf_spin_lock lock;
	struct bpf_list_head head contains(item, node);
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, int);
	__type(value, struct items);
} lists SEC(".maps");

SEC("tc")
int add(struct __sk_buff *skb)
{
	int zero = 0;
	struct items *items = bpf_map_lookup_elem(&lists, &zero);
	struct item *item;

	if (!items || !(item = bpf_obj_new_impl(__builtin_btf_type_id(*(struct item *)0, 0), 0)))
		return 0;
	item->data = skb->len;
	bpf_spin_lock(&items->lock);
	bpf_list_push_front_impl(&items->head, &item->node, 0, 0);
	bpf_spin_unlock(&items->lock);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
