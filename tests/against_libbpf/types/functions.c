// SPDX-License-Identifier: MIT OR Apache-2.0
/* Types of functions, also of those with any arguments. */
#include "../small.h"

typedef int (*callback)(void *, const char *, ...);
typedef void plain(void);
struct table {
	callback call;
	plain *run;
	int (*nested)(int (*)(callback));
};

struct table table;

SEC("xdp")
int use(struct xdp_md *ctx)
{
	return table.call || table.nested ? XDP_PASS : XDP_DROP;
}
