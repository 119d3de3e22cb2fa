/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What most of the sources here share. */
#pragma once
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#define FUNCTION static __noinline
#define COUNT(map) ({ __u32 zero = 0; __u64 *n = bpf_map_lookup_elem(&map, &zero); if (n) __sync_fetch_and_add(n, 1); })

char LICENSE[] SEC("license") = "GPL";
