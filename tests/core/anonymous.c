/* Fields that the kernel keeps in structs and unions without name, and that are plain here, and the other way round. */
#include "core.h"

struct sk_buff {
	void *dev;
	u64 skb_mstamp_ns;
	union {
		struct {
			u32 len;
			struct {
				u32 data_len;
			};
		};
		u64 both;
	};
	void *destructor;
	u16 protocol;
} CORE;

struct qstr {
	u32 len;
	u64 hash_len;
	const unsigned char *name;
} CORE;

struct dentry {
	int unused;
	struct qstr d_name;
} CORE;

SEC("raw_tp/x")
int descent(u64 *ctx)
{
	struct sk_buff *skb = (void *)ctx[0];
	struct dentry *dentry = (void *)ctx[1];
	return OFFSET(skb->dev) + OFFSET(skb->skb_mstamp_ns) + OFFSET(skb->len) + OFFSET(skb->data_len) +
	       OFFSET(skb->destructor) + OFFSET(skb->protocol) + EXISTS(skb->both) + OFFSET(dentry->d_name.len) +
	       OFFSET(dentry->d_name.hash_len) + OFFSET(dentry->d_name.name);
}

LICENSE;
