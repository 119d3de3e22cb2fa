// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * What a loader asks of the kernel, for LD_PRELOAD: appends one line to the file $ASKED for each map and program that
 * bpf(2) makes, since the kernel does not report all of it. Libbpf and we are watched in the same way.
 *
 *     map ID only=.. numa=.. inner=(..)
 *     program ID attach=.. flags=.. license=..
 *     refused 0 type=.. attach=.. flags=.. target=.. count=.. code=..       a program that the kernel does not take;
 *                                  code is a hash of its instructions without descriptors
 *
 * "only" are the flags that belong to the descriptor: the kernel forgets them. kern_version is not shown: no kernel
 * since 5.0 looks at it, and libbpf fills it in for every program.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <linux/bpf.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MAPS 1024

/* What was asked of the last maps, by id: loaders duplicate descriptors. */
static char maps[MAPS][160];

static long (*real(void))(long, ...)
{
	static long (*found)(long, ...);

	if (!found)
		found = (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall");
	return found;
}

static void note(const char *what, unsigned int id, const char *text)
{
	const char *path = getenv("ASKED");
	FILE *file = path ? fopen(path, "a") : NULL;

	if (file) {
		fprintf(file, "%s %u %s\n", what, id, text);
		fclose(file);
	}
}

/* The id of a map or program: the kernel writes no more of its info than there is room for. */
static unsigned int id_of(int fd)
{
	unsigned int info[2] = {};
	union bpf_attr attr = {};

	attr.info.bpf_fd = fd;
	attr.info.info_len = sizeof(info);
	attr.info.info = (unsigned long)info;
	real()(SYS_bpf, BPF_OBJ_GET_INFO_BY_FD, &attr, sizeof(attr.info));
	return info[1];
}

static void note_map(int fd, const union bpf_attr *attr)
{
	int is_nested = attr->map_type == BPF_MAP_TYPE_ARRAY_OF_MAPS || attr->map_type == BPF_MAP_TYPE_HASH_OF_MAPS;
	const char *inner = is_nested ? maps[id_of(attr->inner_map_fd) % MAPS] : "";
	unsigned int id = id_of(fd);
	char text[512];

	snprintf(text, sizeof(text), "only=%#x numa=%u inner=(%s)", attr->map_flags & (BPF_F_RDONLY | BPF_F_WRONLY),
		 attr->numa_node, inner);
	note("map", id, text);
	snprintf(maps[id % MAPS], sizeof(*maps), "type=%u key=%u value=%u max=%u flags=%#x numa=%u extra=%#llx",
			 attr->map_type, attr->key_size, attr->value_size, attr->max_entries, attr->map_flags,
			 attr->numa_node, (unsigned long long)attr->map_extra);
}

static void note_program(int fd, const union bpf_attr *attr)
{
	const char *license = attr->license ? (const char *)(unsigned long)attr->license : "";
	char text[512];

	snprintf(text, sizeof(text), "attach=%u flags=%#x license=%.200s", attr->expected_attach_type, attr->prog_flags,
		 license);
	note("program", id_of(fd), text);
}

/* A hash (FNV-1a) of what the verifier was to look at. */
static unsigned long long hash(const struct bpf_insn *insns, unsigned int count)
{
	unsigned long long hash = 0xcbf29ce484222325;

	for (unsigned int i = 0; i < count; i++) {
		struct bpf_insn insn = insns[i];

		if (insn.code == (BPF_LD | BPF_IMM | BPF_DW) &&
		    (insn.src_reg == BPF_PSEUDO_MAP_FD || insn.src_reg == BPF_PSEUDO_MAP_VALUE))
			insn.imm = 0;
		for (unsigned int at = 0; at < sizeof(insn); at++)
			hash = (hash ^ ((unsigned char *)&insn)[at]) * 0x100000001b3;
	}
	return hash;
}

/* What was asked for the last program that the kernel did not take; reference.c looks here. */
char last_refused[256];

static void note_refused(const union bpf_attr *attr)
{
	snprintf(last_refused, sizeof(last_refused), "type=%u attach=%u flags=%#x target=%u count=%u code=%016llx",
		 attr->prog_type, attr->expected_attach_type, attr->prog_flags, attr->attach_btf_id, attr->insn_cnt,
		 hash((void *)(unsigned long)attr->insns, attr->insn_cnt));
	note("refused", 0, last_refused);
}

long syscall(long number, ...)
{
	union bpf_attr attr = {};
	va_list list;
	long a[6], result;

	va_start(list, number);
	for (int i = 0; i < 6; i++)
		a[i] = va_arg(list, long);
	va_end(list);
	result = real()(number, a[0], a[1], a[2], a[3], a[4], a[5]);
	if (number != SYS_bpf || (a[0] != BPF_MAP_CREATE && a[0] != BPF_PROG_LOAD))
		return result;
	memcpy(&attr, (const void *)a[1], (size_t)a[2] < sizeof(attr) ? (size_t)a[2] : sizeof(attr));
	if (a[0] == BPF_MAP_CREATE && result >= 0)
		note_map(result, &attr);
	else if (a[0] == BPF_PROG_LOAD && result >= 0)
		note_program(result, &attr);
	else if (a[0] == BPF_PROG_LOAD) {
		int error = errno;

		note_refused(&attr);
		errno = error;
	}
	return result;
}
