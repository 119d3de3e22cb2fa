// SPDX-License-Identifier: MIT OR Apache-2.0
/* Variables of the kernel by their types, one for each CPU. */
#include "../small.h"

#define CORE __attribute__((preserve_access_index))

struct rq {
	unsigned int nr_running;
} CORE;
extern const struct rq runqueues __ksym;
extern const int bpf_prog_active __ksym __weak;
__u64 sum;

SEC("raw_tp/sys_enter")
int use(void *ctx)
{
	const struct rq *rq = bpf_per_cpu_ptr(&runqueues, 0);

	if (rq)
		sum += rq->nr_running;
	return 0;
}
