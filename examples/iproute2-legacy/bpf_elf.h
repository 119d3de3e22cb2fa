/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The map definition that iproute2 reads from the section `maps`, as its loader lays it out:
 * nine 32-bit words, of which older objects have only the first six or seven.
 */
#pragma once

#include <linux/types.h>

enum {
	PIN_NONE,      /* not pinned */
	PIN_OBJECT_NS, /* BPFFS/tc/HASH_OF_THE_OBJECT/NAME */
	PIN_GLOBAL_NS, /* BPFFS/tc/globals/NAME */
};

struct bpf_elf_map {
	__u32 type;
	__u32 size_key;
	__u32 size_value;
	__u32 max_elem;
	__u32 flags;
	__u32 id; /* a section `ID/INDEX` is a program for slot INDEX of this map */
	__u32 pinning;
	__u32 inner_id; /* of the map that is the template of this outer map */
	__u32 inner_idx; /* the slot of the outer map that this inner map goes to */
};
