// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * A classifier as it was written for iproute2 before libbpf: maps as `struct bpf_elf_map`,
 * tail calls by section name, a map pinned for everybody.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include "bpf_elf.h"
#include "hits.h"

#define JUMPS 7
#define SEC_TAIL(id, index) SEC(#id "/" #index)
#define TAIL(id, index) SEC_TAIL(id, index) /* expands `id` before it becomes text */

enum { JUMP_IPV4, JUMP_IPV6, JUMP_SLOTS };

struct bpf_elf_map hits SEC("maps") = {
	.type = BPF_MAP_TYPE_ARRAY,
	.size_key = sizeof(__u32),
	.size_value = sizeof(__u64),
	.max_elem = HITS,
	.pinning = PIN_GLOBAL_NS,
};

struct bpf_elf_map jumps SEC("maps") = {
	.type = BPF_MAP_TYPE_PROG_ARRAY,
	.size_key = sizeof(__u32),
	.size_value = sizeof(__u32),
	.max_elem = JUMP_SLOTS,
	.id = JUMPS,
	.pinning = PIN_OBJECT_NS,
};

static __always_inline void hit(__u32 what)
{
	__u64 *n = bpf_map_lookup_elem(&hits, &what);

	if (n)
		__sync_fetch_and_add(n, 1);
}

TAIL(JUMPS, 0)
int see_ipv4(struct __sk_buff *skb)
{
	hit(HITS_IPV4);
	return TC_ACT_UNSPEC;
}

TAIL(JUMPS, 1)
int see_ipv6(struct __sk_buff *skb)
{
	hit(HITS_IPV6);
	return TC_ACT_UNSPEC;
}

SEC("classifier")
int classify(struct __sk_buff *skb)
{
	if (skb->protocol == bpf_htons(ETH_P_IP))
		bpf_tail_call(skb, &jumps, JUMP_IPV4);
	else if (skb->protocol == bpf_htons(ETH_P_IPV6))
		bpf_tail_call(skb, &jumps, JUMP_IPV6);
	hit(HITS_OTHER); /* also when the slot is empty */
	return TC_ACT_UNSPEC;
}

SEC("action")
int act(struct __sk_buff *skb)
{
	hit(HITS_ACTION);
	return TC_ACT_PIPE;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
