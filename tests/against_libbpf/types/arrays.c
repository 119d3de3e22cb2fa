// SPDX-License-Identifier: MIT OR Apache-2.0
/* Arrays of arrays, of structs, of pointers, of nothing. */
#include "../small.h"

struct point {
	int x, y;
};

int numbers[2][3][4];
struct point points[5];
int (*functions[2])(int, char);
struct {
	int count;
	int rest[];
} open_end;
char none[0];

SEC("xdp")
int use(struct xdp_md *ctx)
{
	numbers[1][2][3] = points[4].y;
	return functions[1] || open_end.count || (long)&none ? XDP_PASS : XDP_DROP;
}
