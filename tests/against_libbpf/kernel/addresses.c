// SPDX-License-Identifier: MIT OR Apache-2.0
/* Addresses of symbols without types. */
#include "../small.h"

extern const void bpf_link_put __ksym;
extern const void no_such_symbol __ksym __weak;
__u64 found, missing;

SEC("xdp")
int use(struct xdp_md *ctx)
{
	found = (__u64)&bpf_link_put;
	missing = (__u64)&no_such_symbol;
	return XDP_PASS;
}
