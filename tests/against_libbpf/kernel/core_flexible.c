// SPDX-License-Identifier: MIT OR Apache-2.0
/* Arrays of no known length, at the end and in the middle. */
#include "../small.h"

#define CORE __attribute__((preserve_access_index))

struct cgroup {
	int level;
	struct cgroup *ancestors[];
} CORE;
struct bpf_prog {
	__u32 len;
	struct {
		__u64 code;
	} insnsi[0];
} CORE;
__u64 place;

SEC("raw_tp/sys_enter")
int use(void *ctx)
{
	struct cgroup *group = (void *)bpf_get_current_task();
	struct bpf_prog *program = (void *)group;

	place = (__u64)&group->ancestors[3] + (__u64)&program->insnsi[2];
	return 0;
}
