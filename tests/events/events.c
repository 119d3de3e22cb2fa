// SPDX-License-Identifier: MIT OR Apache-2.0
/* Programs for events, each in two versions: built with -DVERSION=1 and -DVERSION=2. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

enum kind { TRACEPOINT, RAW, TYPED, ENTRY, EXIT, MODIFY, SECURITY, ITER, COUNTER, KPROBE, KRETPROBE, MULTI, SYSCALL, UPROBE,
	    URETPROBE, EXTENDED, COOKIE, LAST };

/* How often each kind of program ran: version 1, then version 2. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2 * LAST);
	__type(key, __u32);
	__type(value, __u64);
} seen SEC(".maps");

static __always_inline void put(__u32 kind, __u64 more)
{
	__u32 key = 2 * kind + VERSION - 1;
	__u64 *count = bpf_map_lookup_elem(&seen, &key);

	if (count)
		__sync_fetch_and_add(count, more);
}

SEC("tp/sched/sched_process_exec")
int tracepoint(void *ctx)
{
	put(TRACEPOINT, 1);
	return 0;
}

SEC("tp/sched/sched_process_exec")
int with_cookie(void *ctx)
{
	put(COOKIE, bpf_get_attach_cookie(ctx));
	return 0;
}

SEC("raw_tp/sched_process_exec")
int raw(void *ctx)
{
	put(RAW, 1);
	return 0;
}

SEC("raw_tp.w/sched_process_exec")
int writable(void *ctx)
{
	put(RAW, 1);
	return 0;
}

SEC("tp_btf/sched_process_exec")
int typed(void *ctx)
{
	put(TYPED, 1);
	return 0;
}

SEC("fentry/do_unlinkat")
int entry(void *ctx)
{
	put(ENTRY, 1);
	return 0;
}

SEC("fexit/do_unlinkat")
int exit_of(void *ctx)
{
	put(EXIT, 1);
	return 0;
}

SEC("fmod_ret/security_inode_rmdir")
int modify(void *ctx)
{
	put(MODIFY, 1);
	return 0;
}

SEC("lsm/inode_rmdir")
int security(void *ctx)
{
	put(SECURITY, 1);
	return 0;
}

SEC("iter/task")
int each_task(void *ctx)
{
	put(ITER, 1);
	return 0;
}

SEC("perf_event")
int counter(void *ctx)
{
	put(COUNTER, 1);
	return 0;
}

SEC("kprobe/do_unlinkat")
int probe(void *ctx)
{
	put(KPROBE, 1);
	return 0;
}

SEC("kretprobe/do_unlinkat")
int probe_return(void *ctx)
{
	put(KRETPROBE, 1);
	return 0;
}

SEC("kprobe.multi/do_unlinkat")
int probes(void *ctx)
{
	put(MULTI, 1);
	return 0;
}

SEC("ksyscall/getpgid")
int system_call(void *ctx)
{
	put(SYSCALL, 1);
	return 0;
}

SEC("uprobe")
int user(void *ctx)
{
	put(UPROBE, 1);
	return 0;
}

SEC("uretprobe")
int user_return(void *ctx)
{
	put(URETPROBE, 1);
	return 0;
}

/* Lets all packets pass, and the two versions are not the same program. */
__attribute__((noinline)) int judge(struct xdp_md *ctx)
{
	volatile int version = VERSION;

	return version ? XDP_PASS : XDP_DROP;
}

SEC("xdp")
int filter(struct xdp_md *ctx)
{
	return judge(ctx);
}

SEC("freplace/judge")
int instead(struct xdp_md *ctx)
{
	put(EXTENDED, 1);
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "GPL";
