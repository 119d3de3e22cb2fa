/* Values of 64 bits. */
#include "core.h"

enum perf_callchain_context {
	PERF_CONTEXT_HV = 1,
	PERF_CONTEXT_KERNEL = 2,
	PERF_CONTEXT_MAX = 3,
};

enum ib_uverbs_device_cap_flags {
	IB_UVERBS_DEVICE_RESIZE_MAX_WR = 0,
	IB_UVERBS_DEVICE_RAW_SCATTER_FCS = 1,
};

SEC("raw_tp/x")
int values(void *ctx)
{
	u64 sum = VALUE(enum perf_callchain_context, PERF_CONTEXT_HV) ^
		  VALUE(enum perf_callchain_context, PERF_CONTEXT_KERNEL) ^
		  VALUE(enum perf_callchain_context, PERF_CONTEXT_MAX) ^
		  VALUE(enum ib_uverbs_device_cap_flags, IB_UVERBS_DEVICE_RAW_SCATTER_FCS);
	return sum >> 32;
}

SEC("raw_tp/x")
int exists(void *ctx)
{
	return VALUE_EXISTS(enum perf_callchain_context, PERF_CONTEXT_MAX);
}

LICENSE;
