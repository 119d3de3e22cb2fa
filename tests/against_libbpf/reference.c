// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * Loads objects with libbpf, and shows what the kernel then has: the second opinion on our loader.
 *
 *     reference load WHAT...       loads each object; where that fails, each of its programs alone. Before an object
 *                                  can stand type:PROGRAM=NUMBER and max:MAP=NUMBER, what its manifest says of it
 *     reference show PIN...        shows what is pinned: programs, and maps beside them
 *     reference try OBJECT...      the instructions that libbpf makes of each program alone, verified or not
 *     reference version            MAJOR.MINOR of libbpf
 *
 * What is shown is one line for each fact, the same for the same fact: ids become names and ranks, and addresses of
 * memory that was allocated are left out. "id" lines only say where to look in the lines of asked.c.
 *
 *     object PATH                              of all that follows
 *     refused WHOLE|PROGRAM WHY                libbpf did not load it; for a program follows
 *     tried WHAT                               what was asked of the kernel, if it was the kernel that refused
 *     program NAME, its facts, end             "uses" a map that the instructions name, "also" another one
 *     map NAME FACTS                           of the object, used or not
 */
#define _GNU_SOURCE
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <dlfcn.h>
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define WHOLE (-1)

/* What libbpf warned of, as one line. */
static char warnings[8192];

static int listen(enum libbpf_print_level level, const char *format, va_list args)
{
	size_t used = strlen(warnings);

	if (level == LIBBPF_WARN)
		vsnprintf(warnings + used, sizeof(warnings) - used, format, args);
	for (char *c = warnings; *c; c++)
		if (*c == '\n')
			*c = ' ';
	return 0;
}

/* Prints a string of BTF, which is "" where the type has none. */
static void print_name(const struct btf *btf, unsigned int offset)
{
	const char *name = btf__name_by_offset(btf, offset);

	printf(" '%s'", name ? name : "?");
}

/* Words behind the head of each kind of type: for the type, or for each of its parts. -1: a name. */
static const struct {
	int words, of_parts;
	bool is_named;
} kinds[] = {
	[BTF_KIND_INT] = { 1 }, [BTF_KIND_ARRAY] = { 3 }, [BTF_KIND_STRUCT] = { 0, 3, true }, [BTF_KIND_UNION] = { 0, 3, true },
	[BTF_KIND_ENUM] = { 0, 2, true }, [BTF_KIND_FUNC_PROTO] = { 0, 2, true }, [BTF_KIND_VAR] = { 1 },
	[BTF_KIND_DATASEC] = { 0, 3, false }, [BTF_KIND_DECL_TAG] = { 1 }, [19 /* ENUM64 */] = { 0, 3, true },
};

static void show_type(const struct btf *btf, unsigned int id)
{
	const struct btf_type *type = btf__type_by_id(btf, id);
	const unsigned int *word = (const unsigned int *)(type + 1);
	unsigned int kind = btf_kind(type);
	bool known = kind < sizeof(kinds) / sizeof(*kinds);

	printf("type %u kind=%u info=%#x size=%u", id, kind, type->info, type->size);
	print_name(btf, type->name_off);
	for (int i = 0; known && i < kinds[kind].words; i++)
		printf(" %#x", *word++);
	for (int part = 0; known && part < btf_vlen(type); part++) {
		printf(";");
		for (int i = 0; i < kinds[kind].of_parts; i++, word++)
			if (i == 0 && kinds[kind].is_named)
				print_name(btf, *word);
			else
				printf(" %#x", *word);
	}
	printf("\n");
}

static unsigned long long hash(const unsigned char *bytes, size_t size)
{
	unsigned long long hash = 0xcbf29ce484222325;

	for (size_t i = 0; i < size; i++)
		hash = (hash ^ bytes[i]) * 0x100000001b3;
	return hash;
}

static void print_bytes(const unsigned char *bytes, size_t size)
{
	if (size > 256)
		printf("hash %016llx", hash(bytes, size));
	for (size_t i = 0; size <= 256 && i < size; i++)
		printf("%02x", bytes[i]);
}

/* Prints the name of the map or program with this id: what a slot holds. */
static void print_held(bool is_map, unsigned int id)
{
	struct bpf_map_info map = {};
	struct bpf_prog_info program = {};
	unsigned int size = is_map ? sizeof(map) : sizeof(program);
	int fd = is_map ? bpf_map_get_fd_by_id(id) : bpf_prog_get_fd_by_id(id);

	bpf_obj_get_info_by_fd(fd, is_map ? (void *)&map : (void *)&program, &size);
	close(fd);
	printf("%s", is_map ? map.name : program.name);
}

/* Global variables: their maps have names as their sections. */
static bool is_data(const struct bpf_map_info *info)
{
	return info->type == BPF_MAP_TYPE_ARRAY && info->max_entries == 1 && strchr(info->name, '.');
}

/* Prints what a map begins with: global variables, or what its slots hold. */
static void print_contents(int fd, const struct bpf_map_info *info)
{
	bool is_map = info->type == BPF_MAP_TYPE_ARRAY_OF_MAPS || info->type == BPF_MAP_TYPE_HASH_OF_MAPS;
	unsigned int key = 0, id;
	unsigned char *value;

	if (is_data(info) && (value = calloc(1, info->value_size + 8))) {
		printf(" holds=");
		if (!bpf_map_lookup_elem(fd, &key, value))
			print_bytes(value, info->value_size);
		free(value);
	}
	if ((is_map || info->type == BPF_MAP_TYPE_PROG_ARRAY) && info->key_size == 4)
		for (key = 0; key < info->max_entries && key < 256; key++)
			if (!bpf_map_lookup_elem(fd, &key, &id)) {
				printf(" [%u]=", key);
				print_held(is_map, id);
			}
}

static bool is_frozen(int fd)
{
	char path[64], line[256];
	int frozen = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	file = fopen(path, "r");
	while (file && fgets(line, sizeof(line), file))
		sscanf(line, "frozen: %d", &frozen);
	if (file)
		fclose(file);
	return frozen;
}

/* The flags of a map: libbpf before 1.2 makes all global variables mappable, later ones only where one is visible. */
static unsigned int flags_of(const struct bpf_map_info *info)
{
	bool is_old = libbpf_major_version() == 1 && libbpf_minor_version() < 2;

	return is_old && is_data(info) ? info->map_flags & ~BPF_F_MMAPABLE : info->map_flags;
}

/* Prints all of a map that the kernel tells; key and value are of the same BTF as the program, or of none. */
static void print_map(int fd, unsigned int *id)
{
	struct bpf_map_info info = {};
	unsigned int size = sizeof(info);

	if (bpf_obj_get_info_by_fd(fd, &info, &size))
		printf("unreadable: %s", strerror(errno));
	/* The one of the loader may allow less. */
	fd = bpf_map_get_fd_by_id(info.id);
	*id = info.id;
	printf("%s type=%u key=%u value=%u max=%u flags=%#x extra=%#llx frozen=%d btf=%d/%u/%u kernel_type=%u", info.name,
	       info.type, info.key_size, info.value_size, info.max_entries, flags_of(&info),
	       (unsigned long long)info.map_extra, is_frozen(fd), info.btf_id != 0, info.btf_key_type_id,
	       info.btf_value_type_id, info.btf_vmlinux_value_type_id);
	print_contents(fd, &info);
	close(fd);
}

/*
 * Prints the instructions after the verifier, with the maps by the order of their first use, which are returned.
 * What the kernel allocated has another address each time.
 */
static int show_insns(struct bpf_insn *insns, int count, unsigned int *used, bool *has_address)
{
	int maps = 0, rank;

	for (int i = 0; i < count; i++) {
		struct bpf_insn insn = insns[i];
		unsigned int high = i + 1 < count ? insns[i + 1].imm : 0;
		bool is_load = insn.code == (BPF_LD | BPF_IMM | BPF_DW);

		if (is_load && (insn.src_reg == BPF_PSEUDO_MAP_FD || insn.src_reg == BPF_PSEUDO_MAP_VALUE)) {
			for (rank = 0; rank < maps && used[rank] != (unsigned int)insn.imm; rank++)
				;
			if (rank == maps)
				used[maps++] = insn.imm;
			insn.imm = rank;
		} else if (is_load && insn.src_reg == 0 && high >= 0xffff0000 && high < 0xffffffff) {
			insn.imm = insns[i + 1].imm = 0;
			*has_address = true;
		} else if (is_load && insn.src_reg == 0 && high >= 0x5500 && high < 0x8000) {
			/* A variable in an arena: somewhere in the memory of the loader. */
			insn.imm &= 0xfff;
			insns[i + 1].imm = 0;
		}
		printf("insn %d %02x %x %x %d %#x\n", i, insn.code, insn.dst_reg, insn.src_reg, insn.off, insn.imm);
	}
	return maps;
}

static void show_described(const struct bpf_prog_info *info)
{
	const struct bpf_func_info *funcs = (void *)(unsigned long)info->func_info;
	const struct bpf_line_info *lines = (void *)(unsigned long)info->line_info;
	struct btf *btf = info->btf_id ? btf__load_from_kernel_by_id(info->btf_id) : NULL;

	if (!btf)
		return;
	for (unsigned int i = 0; i < info->nr_func_info; i++) {
		printf("func %u type %u", funcs[i].insn_off, funcs[i].type_id);
		print_name(btf, btf__type_by_id(btf, funcs[i].type_id)->name_off);
		printf("\n");
	}
	for (unsigned int i = 0; i < info->nr_line_info; i++) {
		printf("line %u %u", lines[i].insn_off, lines[i].line_col);
		print_name(btf, lines[i].file_name_off);
		print_name(btf, lines[i].line_off);
		printf("\n");
	}
	for (unsigned int i = 1; i < btf__type_cnt(btf); i++)
		show_type(btf, i);
	btf__free(btf);
}

static void print_tag(const unsigned char *tag)
{
	print_bytes(tag, BPF_TAG_SIZE);
	printf("\n");
}

static void show_map(const char *what, int fd)
{
	unsigned int id;

	printf("%s ", what);
	print_map(fd, &id);
	printf("\nid map %u\n", id);
}

/* Shows the maps of a program: those that its instructions name, in their order, then the others. */
static void show_maps(const struct bpf_prog_info *info, const unsigned int *used, int count)
{
	const unsigned int *ids = (void *)(unsigned long)info->map_ids;
	int fd, rank;

	for (unsigned int i = 0; i < info->nr_map_ids + count; i++) {
		unsigned int id = i < count ? used[i] : ids[i - count];

		for (rank = 0; i >= count && rank < count && used[rank] != id; rank++)
			;
		if (i >= count && rank < count)
			continue;
		fd = bpf_map_get_fd_by_id(id);
		show_map(i < count ? "uses" : "also", fd);
		close(fd);
	}
}

/* Shows everything that the kernel tells of a program, but for what differs each time. */
static void show_program(const char *name, int fd)
{
	struct bpf_prog_info sizes = {}, info = {};
	unsigned int size = sizeof(sizes), used[64];
	bool has_address = false;
	int maps;

	if (bpf_obj_get_info_by_fd(fd, &sizes, &size)) {
		printf("refused %s it cannot be read: %s\n", name, strerror(errno));
		return;
	}
	info.xlated_prog_len = sizes.xlated_prog_len;
	info.xlated_prog_insns = (unsigned long)calloc(1, sizes.xlated_prog_len);
	info.nr_map_ids = sizes.nr_map_ids;
	info.map_ids = (unsigned long)calloc(sizes.nr_map_ids + 1, 4);
	info.nr_func_info = sizes.nr_func_info;
	info.func_info_rec_size = sizeof(struct bpf_func_info);
	info.func_info = (unsigned long)calloc(sizes.nr_func_info + 1, sizeof(struct bpf_func_info));
	info.nr_line_info = sizes.nr_line_info;
	info.line_info_rec_size = sizeof(struct bpf_line_info);
	info.line_info = (unsigned long)calloc(sizes.nr_line_info + 1, sizeof(struct bpf_line_info));
	info.nr_prog_tags = sizes.nr_prog_tags;
	info.prog_tags = (unsigned long)calloc(sizes.nr_prog_tags + 1, BPF_TAG_SIZE);
	size = sizeof(info);
	bpf_obj_get_info_by_fd(fd, &info, &size);

	printf("program %s\nid program %u\n", name, info.id);
	printf("is %s type=%u gpl=%d offloaded=%d attach_btf=%u/%u checked=%u\n", info.name, info.type,
	       info.gpl_compatible, info.ifindex != 0, info.attach_btf_obj_id, info.attach_btf_id, info.verified_insns);
	printf("tag ");
	print_tag(info.tag);
	maps = show_insns((void *)(unsigned long)info.xlated_prog_insns, info.xlated_prog_len / 8, used, &has_address);
	/* These are over the instructions behind the verifier, with addresses. */
	for (unsigned int i = 0; i < info.nr_prog_tags && !has_address; i++) {
		printf("subprogram ");
		print_tag((const unsigned char *)(unsigned long)info.prog_tags + i * BPF_TAG_SIZE);
	}
	show_maps(&info, used, maps);
	show_described(&info);
	printf("end\n");
	free((void *)(unsigned long)info.xlated_prog_insns);
	free((void *)(unsigned long)info.map_ids);
	free((void *)(unsigned long)info.func_info);
	free((void *)(unsigned long)info.line_info);
	free((void *)(unsigned long)info.prog_tags);
}

/* What is said of the next object. */
static char *said[16];
static int said_count;

/* Does with an object what a manifest says of it. */
static void adapt(struct bpf_object *object)
{
	char what[8], name[64];
	unsigned int number;

	for (int i = 0; i < said_count; i++) {
		if (sscanf(said[i], "%7[^:]:%63[^=]=%u", what, name, &number) != 3)
			continue;
		if (!strcmp(what, "type"))
			bpf_program__set_type(bpf_object__find_program_by_name(object, name), number);
		else
			bpf_map__set_max_entries(bpf_object__find_map_by_name(object, name), number);
	}
}

/* Opens an object and leaves all programs out but the one with this number; WHOLE leaves it as it is. */
static struct bpf_object *open_with(const char *path, int number)
{
	LIBBPF_OPTS(bpf_object_open_opts, options);
	static unsigned int count;
	struct bpf_program *program;
	struct bpf_object *object;
	char pins[64];
	int at = 0;

	/* Objects that pin by name shall not meet. */
	snprintf(pins, sizeof(pins), "/sys/fs/bpf/reference-%u", count++);
	mkdir(pins, 0700);
	options.pin_root_path = pins;
	warnings[0] = 0;
	object = bpf_object__open_file(path, &options);
	if (object && number != WHOLE)
		bpf_object__for_each_program(program, object)
			bpf_program__set_autoload(program, at++ == number);
	if (object)
		adapt(object);
	return object;
}

static void show_object(struct bpf_object *object, bool with_maps)
{
	struct bpf_program *program;
	struct bpf_map *map;

	bpf_object__for_each_program(program, object)
		if (bpf_program__fd(program) >= 0)
			show_program(bpf_program__name(program), bpf_program__fd(program));
	if (with_maps)
		bpf_object__for_each_map(map, object)
			if (bpf_map__fd(map) >= 0)
				show_map("map", bpf_map__fd(map));
}

/* Loads each program alone. */
static void load_each(const char *path)
{
	/* Of asked.c, when that is watching. */
	char *tried = dlsym(RTLD_DEFAULT, "last_refused");
	struct bpf_program *program, *wanted;
	struct bpf_object *object;

	for (int number = 0, at; (object = open_with(path, number)); number++) {
		wanted = NULL;
		at = 0;
		if (tried)
			tried[0] = 0;
		bpf_object__for_each_program(program, object)
			if (at++ == number)
				wanted = program;
		if (!wanted) {
			bpf_object__close(object);
			break;
		}
		if (bpf_object__load(object))
			printf("refused %s %s\ntried %s\n", bpf_program__name(wanted), warnings, tried ? tried : "");
		else
			show_object(object, false);
		bpf_object__close(object);
	}
}

static void load(const char *path)
{
	struct bpf_object *object = open_with(path, WHOLE);

	printf("object %s\n", path);
	if (!object) {
		printf("refused WHOLE %s\n", warnings);
	} else if (bpf_object__load(object)) {
		printf("refused WHOLE %s\n", warnings);
		load_each(path);
	} else {
		show_object(object, true);
	}
	bpf_object__close(object);
	said_count = 0;
}

static void show(const char *pin)
{
	struct bpf_prog_info info = {};
	unsigned int size = sizeof(info);
	char link[64], kind[64] = "";
	int fd = bpf_obj_get(pin);

	if (fd < 0) {
		printf("refused %s %s\n", pin, strerror(errno));
		return;
	}
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	readlink(link, kind, sizeof(kind) - 1);
	if (strstr(kind, "bpf-map"))
		show_map("map", fd);
	else if (strstr(kind, "bpf-prog") && !bpf_obj_get_info_by_fd(fd, &info, &size))
		show_program(strrchr(pin, '/') + 1, fd);
	close(fd);
}

/* Prints FILE PROGRAM loads|unverified|refused [INSTRUCTIONS]: refused is what libbpf itself refuses. */
static bool try(const char *path, int number)
{
	struct bpf_object *object = open_with(path, number);
	struct bpf_program *program, *wanted = NULL;
	bool failed, refused;
	int at = 0;

	if (!object)
		return false;
	bpf_object__for_each_program(program, object)
		if (at++ == number)
			wanted = program;
	if (wanted) {
		failed = bpf_object__load(object);
		refused = failed && strstr(warnings, "failed to perform CO-RE relocations");
		printf("%s %s %s ", path, bpf_program__name(wanted), !failed ? "loads" : refused ? "refused" : "unverified");
		for (size_t i = 0; !refused && i < bpf_program__insn_cnt(wanted) * sizeof(struct bpf_insn); i++)
			printf("%02x", ((const unsigned char *)bpf_program__insns(wanted))[i]);
		printf("\n");
	}
	bpf_object__close(object);
	return wanted;
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";

	libbpf_set_print(listen);
	if (!strcmp(what, "version"))
		printf("%u.%u\n", libbpf_major_version(), libbpf_minor_version());
	for (int i = 2; i < argc; i++)
		if (!strcmp(what, "load") && strchr(argv[i], '=') && said_count < 16)
			said[said_count++] = argv[i];
		else if (!strcmp(what, "load"))
			load(argv[i]);
		else if (!strcmp(what, "show"))
			show(argv[i]);
		else if (!strcmp(what, "try"))
			for (int number = 0; try(argv[i], number); number++)
				;
	return 0;
}
