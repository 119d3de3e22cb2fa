// SPDX-License-Identifier: MIT OR Apache-2.0
/* Packets on their way. */
#include "../small.h"

SEC("tc")
int tc_plain(struct __sk_buff *ctx)
{
	return 0;
}

SEC("classifier")
int classify(struct __sk_buff *ctx)
{
	return 0;
}

SEC("action")
int act(struct __sk_buff *ctx)
{
	return 0;
}

SEC("flow_dissector")
int dissect(struct __sk_buff *ctx)
{
	return BPF_OK;
}

SEC("lwt_in")
int in(struct __sk_buff *ctx)
{
	return BPF_OK;
}

SEC("lwt_out")
int out(struct __sk_buff *ctx)
{
	return BPF_OK;
}

SEC("lwt_xmit")
int xmit(struct __sk_buff *ctx)
{
	return BPF_OK;
}

SEC("lwt_seg6local")
int seg6(struct __sk_buff *ctx)
{
	return BPF_OK;
}
