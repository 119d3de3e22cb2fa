/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What every hook of the quickstart counts, and how. The map itself belongs to xdp.bpf.c. */
#pragma once

enum hook {
	HOOK_XDP,
	HOOK_TC_INGRESS,
	HOOK_CGROUP_EGRESS,
	HOOKS,
};

struct traffic {
	__u64 packets;
	__u64 bytes;
};

static __always_inline void count(void *map, enum hook hook, __u64 bytes)
{
	struct traffic *seen = bpf_map_lookup_elem(map, &hook);

	if (!seen) {
		struct traffic none = {};

		/* Another CPU may be first: then this fails and the lookup finds its entry. */
		bpf_map_update_elem(map, &hook, &none, BPF_NOEXIST);
		seen = bpf_map_lookup_elem(map, &hook);
		if (!seen)
			return;
	}
	__sync_fetch_and_add(&seen->packets, 1);
	__sync_fetch_and_add(&seen->bytes, bytes);
}
