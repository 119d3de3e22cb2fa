/* Everything that can be asked of a bit-field, read as bpf_core_read.h does. */
#include "core.h"

struct sk_buff {
	u32 len;
	u8 cloned : 1;
	u8 fclone : 2;
	u8 ip_summed : 2;
	u8 pkt_type : 3;
} CORE;

struct sock_common {
	u8 skc_reuse : 4;
	u8 skc_reuseport : 1;
} CORE;

struct tcp_sock {
	u8 repair : 1;
	u32 rcv_wnd;
} CORE;

#define BITS(s, field)                                                                                                \
	({                                                                                                            \
		u64 value = 0;                                                                                        \
		probe_read_kernel(&value, SIZE((s)->field), (char *)(s) + OFFSET((s)->field));                        \
		value <<= LSHIFT((s)->field);                                                                         \
		SIGNED((s)->field) ? (u64)((s64)value >> RSHIFT((s)->field)) : value >> RSHIFT((s)->field);           \
	})

SEC("raw_tp/x")
int socket_buffer(u64 *ctx)
{
	struct sk_buff *skb = (void *)ctx[0];
	return BITS(skb, cloned) + BITS(skb, fclone) + BITS(skb, ip_summed) + BITS(skb, pkt_type) + BITS(skb, len);
}

SEC("raw_tp/x")
int sockets(u64 *ctx)
{
	struct sock_common *sk = (void *)ctx[0];
	struct tcp_sock *tp = (void *)ctx[0];
	return BITS(sk, skc_reuse) + BITS(sk, skc_reuseport) + BITS(tp, repair) + BITS(tp, rcv_wnd);
}

LICENSE;
