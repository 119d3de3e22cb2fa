// SPDX-License-Identifier: MIT OR Apache-2.0
/* Maps in an order that is neither that of their names nor of their use. */
#include "../small.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} zebra SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, __u64);
} apple SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 3);
	__type(key, __u32);
	__type(value, __u64);
} mango SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, __u64);
} a_name_longer_than_the_kernel_takes SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 5);
	__type(key, __u32);
	__type(value, __u64);
} a_name_longer_than_the_kernel_has SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 6);
	__type(key, __u32);
	__type(value, __u64);
} kiwi SEC(".maps");

SEC("xdp")
int count(struct xdp_md *ctx)
{
	COUNT(kiwi);
	COUNT(a_name_longer_than_the_kernel_has);
	COUNT(apple);
	COUNT(zebra);
	COUNT(a_name_longer_than_the_kernel_takes);
	return XDP_PASS;
}
