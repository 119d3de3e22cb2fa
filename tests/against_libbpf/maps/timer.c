// SPDX-License-Identifier: MIT OR Apache-2.0
/* A function that is called later. */
#include "../small.h"

struct later {
	__u64 runs;
	struct bpf_timer timer;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, int);
	__type(value, struct later);
} timers SEC(".maps");

FUNCTION int fire(void *map, int *key, struct later *later)
{
	later->runs += 1;
	bpf_timer_start(&later->timer, 1000000, 0);
	return 0;
}

SEC("tc")
int start(struct __sk_buff *skb)
{
	int zero = 0;
	struct later *later = bpf_map_lookup_elem(&timers, &zero);

	if (!later)
		return 0;
	bpf_timer_init(&later->timer, &timers, 1 /* CLOCK_MONOTONIC */);
	bpf_timer_set_callback(&later->timer, fire);
	bpf_timer_start(&later->timer, 0, 0);
	return 0;
}
