// SPDX-License-Identifier: MIT OR Apache-2.0
/* A variable of the module nf_tables: one of each CPU, since Linux 6.2. */
#include <linux/bpf.h>
#include <linux/types.h>
#include <bpf/bpf_helpers.h>

/* Only its address is of interest. */
struct nft_pcpu_tun_ctx {
	int any;
};

extern const struct nft_pcpu_tun_ctx nft_pcpu_tun_ctx __ksym;

__u64 seen;

SEC("xdp")
int look(struct xdp_md *ctx)
{
	const void *own = bpf_this_cpu_ptr(&nft_pcpu_tun_ctx);

	seen += own != 0;
	return XDP_PASS;
}

char _license[] SEC("license") = "GPL";
