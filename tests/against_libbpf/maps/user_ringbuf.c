// SPDX-License-Identifier: MIT OR Apache-2.0
/* User space writes, and a callback reads each record. */
#include "../small.h"

struct {
	__uint(type, BPF_MAP_TYPE_USER_RINGBUF);
	__uint(max_entries, 4096);
} orders SEC(".maps");

FUNCTION long take(struct bpf_dynptr *record, void *sum)
{
	__u64 word;

	if (!bpf_dynptr_read(&word, sizeof(word), record, 0, 0))
		*(__u64 *)sum += word;
	return 0;
}

SEC("raw_tp/sys_enter")
int drain(void *ctx)
{
	__u64 sum = 0;

	bpf_user_ringbuf_drain(&orders, take, &sum, 0);
	return 0;
}
