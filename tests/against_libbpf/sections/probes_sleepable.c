// SPDX-License-Identifier: MIT OR Apache-2.0
/* Probes of user space that may wait. */
#include "../small.h"

SEC("uprobe.s//bin/true:main")
int user(void *ctx)
{
	return 0;
}

SEC("uretprobe.s//bin/true:main")
int user_leave(void *ctx)
{
	return 0;
}
