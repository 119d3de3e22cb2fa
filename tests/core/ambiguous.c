/* The kernel has two structs `walk_control`, and both have `stage`, at different places. */
#include "core.h"

struct walk_control {
	int stage;
} CORE;

SEC("raw_tp/x")
int offset(void *ctx)
{
	struct walk_control *walk = ctx;
	return OFFSET(walk->stage);
}

LICENSE;
