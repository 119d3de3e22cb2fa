/* Attaches a pinned program to the tcx ingress of an interface, before all others, and pins the link:
 * put_first PROGRAM IFINDEX PIN */
#include <stdint.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Parts of `union bpf_attr` as Linux 6.6 has it; installed headers may be older. */
struct object { uint64_t pathname; uint32_t fd, flags; };
struct link { uint32_t prog_fd, ifindex, attach_type, flags, relative_fd, pad; uint64_t expected_revision; };

enum { OBJ_PIN = 6, OBJ_GET = 7, LINK_CREATE = 28, TCX_INGRESS = 46, F_BEFORE = 1 << 3 };

int main(int argc, char **argv)
{
	if (argc != 4)
		return 64;
	struct object from = { .pathname = (uintptr_t)argv[1] };
	struct link link = { .ifindex = atoi(argv[2]), .attach_type = TCX_INGRESS, .flags = F_BEFORE };
	struct object to = { .pathname = (uintptr_t)argv[3] };
	link.prog_fd = syscall(SYS_bpf, OBJ_GET, &from, sizeof from);
	to.fd = syscall(SYS_bpf, LINK_CREATE, &link, sizeof link);
	return syscall(SYS_bpf, OBJ_PIN, &to, sizeof to) ? 1 : 0;
}
