/*
 * Prints the final instructions that libbpf makes of every program of the objects it is given, one program at a time:
 *
 *     FILE PROGRAM loads|unverified|refused [INSTRUCTIONS]
 *
 * "refused" is what libbpf itself refuses, "unverified" what the kernel does not take.
 */
#include <bpf/libbpf.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static bool refused;

static int listen(enum libbpf_print_level level, const char *format, va_list args)
{
	char text[1024];

	vsnprintf(text, sizeof(text), format, args);
	if (level == LIBBPF_WARN && strstr(text, "failed to perform CO-RE relocations"))
		refused = true;
	return 0;
}

/* Loads the program with this number; false when there is none. */
static bool load(const char *path, int number)
{
	struct bpf_object *object = bpf_object__open_file(path, NULL);
	struct bpf_program *program, *wanted = NULL;
	const unsigned char *bytes;
	int at = 0, error;

	if (!object)
		return false;
	bpf_object__for_each_program(program, object) {
		if (at == number)
			wanted = program;
		bpf_program__set_autoload(program, at++ == number);
	}
	if (wanted) {
		refused = false;
		error = bpf_object__load(object);
		printf("%s %s %s", path, bpf_program__name(wanted), !error ? "loads" : refused ? "refused" : "unverified");
		if (!refused) {
			printf(" ");
			bytes = (const unsigned char *)bpf_program__insns(wanted);
			for (size_t i = 0; i < bpf_program__insn_cnt(wanted) * sizeof(struct bpf_insn); i++)
				printf("%02x", bytes[i]);
		}
		printf("\n");
	}
	bpf_object__close(object);
	return wanted;
}

int main(int argc, char **argv)
{
	libbpf_set_print(listen);
	for (int i = 1; i < argc; i++)
		for (int number = 0; load(argv[i], number); number++)
			;
	return 0;
}
