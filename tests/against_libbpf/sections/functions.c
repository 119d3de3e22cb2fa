// SPDX-License-Identifier: MIT OR Apache-2.0
/* Functions that are watched or replaced, which not every kernel allows. */
#include "../small.h"

SEC("fentry/do_nanosleep")
int entry(void *ctx)
{
	return 0;
}

SEC("fexit/do_nanosleep")
int leave(void *ctx)
{
	return 0;
}

SEC("fmod_ret/bpf_modify_return_test")
int change(void *ctx)
{
	return 0;
}

SEC("fentry.s/__x64_sys_getpgid")
int entry_sleepable(void *ctx)
{
	return 0;
}

SEC("lsm/file_open")
int hook(void *ctx)
{
	return 0;
}

SEC("lsm.s/file_open")
int hook_sleepable(void *ctx)
{
	return 0;
}

SEC("lsm_cgroup/socket_bind")
int hook_of_group(void *ctx)
{
	return 1;
}
