// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * Variables for tests/variables.rs: a program reads them, writes others beside them, and says by its verdict what it
 * read. LATER has one more variable in front of them.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

enum verdict { VERDICT_DROP = 1, VERDICT_PASS = 2 };

struct config {
	__u32 limit;
	__be32 gateway;
	__u8 low : 3;
	__u8 high : 5;
	char name[7];
	struct {
		__u64 burst;
		__u64 rate;
	} bucket;
};

#ifdef LATER
volatile __u64 earlier = 1;
#endif
volatile enum verdict verdict = VERDICT_PASS;
volatile __u32 runs = 100;
volatile struct config config = { .limit = 3, .low = 1, .high = 2, .name = "first", .bucket = { 10, 20 } };

volatile __u16 ports[4];
volatile __u64 seen;
volatile _Bool quiet;

/* Nobody else sees it, so that user space cannot reach the section through memory. */
static volatile __u32 step SEC(".data.own") = 5;
static volatile __u32 steps SEC(".data.own") = 1;

const volatile __u32 fixed = 7;

SEC("xdp")
int judge(struct xdp_md *ctx)
{
	runs += 1;
	seen += quiet ? 0 : config.limit;
	steps += step;
	config.high = config.low;
	if (ports[0] && ports[1] == fixed)
		return 0;
	return verdict;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
