// SPDX-License-Identifier: MIT OR Apache-2.0
/* String literals, which compilers put into a section that linkers merge. */
#include "../small.h"

SEC("tc")
int speak(struct __sk_buff *skb)
{
	char text[64];
	static const char format[] = "%d of %s\n";
	__u64 data[2] = { skb->len, (__u64)"the packet" };

	bpf_trace_printk("heard\n", 7, 0, 0, 0);
	bpf_printk("a %d", skb->len);
	return bpf_snprintf(text, sizeof(text), format, data, sizeof(data));
}
