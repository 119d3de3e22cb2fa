// SPDX-License-Identifier: MIT OR Apache-2.0
/* A loop over numbers, whose state is a struct of the kernel. */
#include "../small.h"

struct bpf_iter_num___own {
	__u64 state[1];
} __attribute__((aligned(8)));
extern int bpf_iter_num_new(struct bpf_iter_num___own *it, int start, int end) __ksym;
extern int *bpf_iter_num_next(struct bpf_iter_num___own *it) __ksym;
extern void bpf_iter_num_destroy(struct bpf_iter_num___own *it) __ksym;

SEC("xdp")
int use(struct xdp_md *ctx)
{
	struct bpf_iter_num___own it;
	int sum = 0, *n;

	bpf_iter_num_new(&it, 0, 10);
	while ((n = bpf_iter_num_next(&it)))
		sum += *n;
	bpf_iter_num_destroy(&it);
	return sum;
}
