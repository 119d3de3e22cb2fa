// SPDX-License-Identifier: MIT OR Apache-2.0
/* Tracepoints, raw ones, writable ones, and those with types. */
#include "../small.h"

SEC("tracepoint/syscalls/sys_enter_openat")
int plain(void *ctx)
{
	return 0;
}

SEC("tp/sched/sched_switch")
int short_name(void *ctx)
{
	return 0;
}

SEC("raw_tracepoint/sched_switch")
int raw(void *ctx)
{
	return 0;
}

SEC("raw_tp/sys_enter")
int raw_short(void *ctx)
{
	return 0;
}

SEC("raw_tp.w/nbd_send_request")
int writable(void *ctx)
{
	return 0;
}

SEC("tp_btf/sched_switch")
int typed(void *ctx)
{
	return 0;
}

SEC("perf_event")
int event(void *ctx)
{
	return 0;
}
