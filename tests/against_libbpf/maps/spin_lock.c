// SPDX-License-Identifier: MIT OR Apache-2.0
/* A value that is locked while it changes. */
#include "../small.h"

struct account {
	struct bpf_spin_lock lock;
	__u64 credit, debit;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, struct account);
} accounts SEC(".maps");

SEC("tc")
int book(struct __sk_buff *skb)
{
	__u32 key = skb->mark;
	struct account *account = bpf_map_lookup_elem(&accounts, &key);

	if (!account)
		return 0;
	bpf_spin_lock(&account->lock);
	account->credit -= skb->len;
	account->debit += skb->len;
	bpf_spin_unlock(&account->lock);
	return 0;
}
