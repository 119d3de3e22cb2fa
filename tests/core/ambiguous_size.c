/* The kernel has two structs `walk_control` of two sizes. */
#include "core.h"

struct walk_control {
	int stage;
} CORE;

SEC("raw_tp/x")
int size(void *ctx)
{
	return TYPE_SIZE(struct walk_control);
}

LICENSE;
