/* Loads of maps and of numbers of 64 bits side by side. */
#include "core.h"

struct nf_conn {
	u64 status;
	u32 mark;
	struct {
		int use;
	} ct_general;
} CORE;

enum perf_callchain_context { PERF_CONTEXT_USER = 9 };

u64 total;
const volatile u32 limit = 5;

SEC("raw_tp/x")
int count(void *ctx)
{
	struct nf_conn *ct = ctx;
	total += OFFSET(ct->status) + OFFSET(ct->mark) + EXISTS(ct->ct_general) +
		 VALUE(enum perf_callchain_context, PERF_CONTEXT_USER);
	return total > limit;
}

LICENSE;
