// SPDX-License-Identifier: MIT OR Apache-2.0
/* Programs for sockets, each in two versions: built with -DVERSION=1 and -DVERSION=2. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

/* The sockets whose data the programs see, and the counters: messages, data, connections, datagrams. */
struct {
	__uint(type, BPF_MAP_TYPE_SOCKMAP);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, __u64);
} socks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_SOCKHASH);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, __u64);
} others SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, __u64);
} seen SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_REUSEPORT_SOCKARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, __u64);
} workers SEC(".maps");

static __always_inline void count(__u32 what)
{
	__u64 *count = bpf_map_lookup_elem(&seen, &what);

	if (count)
		__sync_fetch_and_add(count, VERSION == 1 ? 1 : 1000);
}

/* Lets messages pass (version 1) or refuses them (version 2). */
SEC("sk_msg")
int message(struct sk_msg_md *msg)
{
	count(0);
	return VERSION == 1 ? SK_PASS : SK_DROP;
}

/* Takes data as it comes. */
SEC("sk_skb/stream_parser")
int parse(struct __sk_buff *skb)
{
	return skb->len;
}

/* Gives data to the socket at 1 (version 1) or drops it (version 2). */
SEC("sk_skb/stream_verdict")
int stream(struct __sk_buff *skb)
{
	count(1);
	return VERSION == 1 ? bpf_sk_redirect_map(skb, &socks, 1, 0) : SK_DROP;
}

/* The same for data that nobody parses. */
SEC("sk_skb/verdict")
int data(struct __sk_buff *skb)
{
	count(1);
	return VERSION == 1 ? bpf_sk_redirect_map(skb, &socks, 1, 0) : SK_DROP;
}

SEC("sk_skb")
int unsaid(struct __sk_buff *skb)
{
	return SK_PASS;
}

/* Gives all datagrams to the second worker (version 1) or to the first one (version 2). */
SEC("sk_reuseport")
int spread(struct sk_reuseport_md *reuse)
{
	__u32 worker = VERSION == 1 ? 1 : 0;

	count(2);
	return bpf_sk_select_reuseport(reuse, &workers, &worker, 0) ? SK_DROP : SK_PASS;
}

/* Cuts datagrams off behind the UDP header and 3 (version 1) or 5 (version 2) bytes. */
SEC("socket")
int cut(struct __sk_buff *skb)
{
	count(3);
	return 8 + (VERSION == 1 ? 3 : 5);
}

SEC("tc")
int classify(struct __sk_buff *skb)
{
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
