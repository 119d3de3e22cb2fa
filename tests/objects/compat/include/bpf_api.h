/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * What the examples of iproute2-doc use, in our own words: the names are iproute2's, the
 * definitions come from the kernel's and libbpf's headers. Beside it lies bpf_elf.h.
 */
#pragma once

#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <bpf/bpf_helpers.h> /* __uint, __array, LIBBPF_PIN_BY_NAME */

#include "bpf_elf.h"

/* <stdint.h> of a hosted C library does not compile for this target. */
typedef __u32 uint32_t;

#define __section(name) __attribute__((section(name), used))
#define __section_maps __section("maps")
#define __section_cls_entry __section("classifier")
#define __section_tail_text(id, index) __section(#id "/" #index)
#define __section_tail(id, index) __section_tail_text(id, index) /* expands both first */
#define BPF_LICENSE(text) char ____license[] __section("license") = text

#define BPF_H_DEFAULT TC_ACT_UNSPEC

#define map_lookup_elem bpf_map_lookup_elem
#define tail_call bpf_tail_call
#define lock_xadd(address, n) ((void)__sync_fetch_and_add(address, n))
#define printt(format, ...)                                               \
	({                                                                \
		char text[] = format; /* on the stack: no data section */ \
		bpf_trace_printk(text, sizeof(text), ##__VA_ARGS__);      \
	})
