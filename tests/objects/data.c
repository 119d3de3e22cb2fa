// SPDX-License-Identifier: MIT OR Apache-2.0
/* Every kind of data section, with references to more than its first variable. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

const volatile __u8 ro_flag = 1;
const volatile __u32 ro_limit = 1000;
const volatile __u64 ro_mask = 0xffULL;

volatile __u32 rw_step = 3;
volatile __u64 rw_total = 7;

volatile __u64 zero_seen;
volatile __u32 zero_last;
static volatile __u32 zero_own; /* static: only section + offset in the relocation */

volatile __u64 custom_low SEC(".data.custom") = 11;
volatile __u64 custom_high SEC(".data.custom") = 22;

const volatile __u32 fixed_low SEC(".rodata.custom") = 33;
const volatile __u32 fixed_high SEC(".rodata.custom") = 44;

SEC("xdp")
int touch(struct xdp_md *ctx)
{
	zero_seen += 1;
	zero_last = ctx->data_end - ctx->data;
	zero_own += 1;
	rw_total += rw_step;
	custom_high += custom_low;
	if (ro_flag && (zero_seen & ro_mask) > ro_limit)
		return fixed_low;
	return zero_last > fixed_high ? XDP_PASS : XDP_DROP;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
