// SPDX-License-Identifier: MIT OR Apache-2.0
/* Tail calls by section name: `ID/INDEX`, with the id in decimal and in hexadecimal. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include "../../examples/iproute2-legacy/bpf_elf.h"

struct bpf_elf_map SEC("maps") by_ten = {
	.type = BPF_MAP_TYPE_PROG_ARRAY,
	.size_key = sizeof(__u32),
	.size_value = sizeof(__u32),
	.max_elem = 2,
	.id = 42,
	.pinning = PIN_OBJECT_NS,
};

struct bpf_elf_map SEC("maps") by_sixteen = {
	.type = BPF_MAP_TYPE_PROG_ARRAY,
	.size_key = sizeof(__u32),
	.size_value = sizeof(__u32),
	.max_elem = 1,
	.id = 0xabc,
	.pinning = PIN_OBJECT_NS,
};

SEC("42/0")
int first(struct __sk_buff *skb)
{
	bpf_tail_call(skb, &by_ten, 1);
	return -1;
}

SEC("42/1")
int second(struct __sk_buff *skb)
{
	bpf_tail_call(skb, &by_sixteen, 0);
	return -1;
}

SEC("0xabc/0")
int last(struct __sk_buff *skb)
{
	return 0;
}

SEC("classifier")
int entry(struct __sk_buff *skb)
{
	bpf_tail_call(skb, &by_ten, 0);
	return -1;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
