// SPDX-License-Identifier: MIT OR Apache-2.0
/* Pins by name, and none. */
#include "../small.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} shared SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
	__uint(pinning, LIBBPF_PIN_NONE);
} alone SEC(".maps");

SEC("xdp")
int count(struct xdp_md *ctx)
{
	COUNT(shared);
	COUNT(alone);
	return XDP_PASS;
}
