// SPDX-License-Identifier: MIT OR Apache-2.0
/* Integers of every size and kind. */
#include "../small.h"

_Bool a;
char b;
signed char c;
unsigned char d;
short e;
unsigned long f;
long long g;
__int128 h;
unsigned __int128 i;
__WCHAR_TYPE__ j;

SEC("xdp")
int use(struct xdp_md *ctx)
{
	a = b || c || d || e || f || g || j;
	h = i;
	return a ? XDP_PASS : XDP_DROP;
}
