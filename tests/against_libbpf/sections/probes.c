// SPDX-License-Identifier: MIT OR Apache-2.0
/* Probes of functions. */
#include "../small.h"

SEC("kprobe/tcp_connect")
int entry(void *ctx)
{
	return 0;
}

SEC("kretprobe/tcp_connect")
int leave(void *ctx)
{
	return 0;
}

SEC("kprobe")
int any(void *ctx)
{
	return 0;
}

SEC("kprobe.multi/tcp_*")
int many(void *ctx)
{
	return 0;
}

SEC("kretprobe.multi/tcp_*")
int many_leave(void *ctx)
{
	return 0;
}

SEC("ksyscall/openat")
int call(void *ctx)
{
	return 0;
}

SEC("kretsyscall/openat")
int returned(void *ctx)
{
	return 0;
}

SEC("uprobe//bin/true:main")
int user(void *ctx)
{
	return 0;
}

SEC("uretprobe//bin/true:main")
int user_leave(void *ctx)
{
	return 0;
}

SEC("usdt//bin/true:a:b")
int mark(void *ctx)
{
	return 0;
}
