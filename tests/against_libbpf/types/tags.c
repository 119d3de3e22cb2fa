// SPDX-License-Identifier: MIT OR Apache-2.0
/* Tags of declarations, of members, of parameters and of types. */
#include "../small.h"

#define tag(text) __attribute__((btf_decl_tag(text)))
#define type_tag(text) __attribute__((btf_type_tag(text)))
struct tagged {
	int a tag("of a member");
	int type_tag("of a type") *b;
} tag("of a struct");
typedef int number tag("of a typedef");
struct tagged variable tag("of a variable");
number other;

int __noinline function(int x tag("of a parameter")) tag("of a function");
int __noinline function(int x)
{
	return x + other;
}

SEC("xdp")
int use(struct xdp_md *ctx)
{
	variable.a = function(ctx->rx_queue_index);
	return XDP_PASS;
}
