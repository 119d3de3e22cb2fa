/* Structs that packet filters look at. */
#include "core.h"

struct net_device {
	int ifindex;
	u32 mtu;
	char name[16];
} CORE;

struct xdp_rxq_info {
	struct net_device *dev;
	u32 queue_index;
} CORE;

struct xdp_buff {
	void *data;
	void *data_end;
	struct xdp_rxq_info *rxq;
	u32 frame_sz;
} CORE;

SEC("tp_btf/xdp_exception")
int exception(u64 *ctx)
{
	struct net_device *dev = (void *)ctx[0];
	return dev->ifindex == 1 || dev->mtu == 9000;
}

SEC("raw_tp/x")
int buffer(u64 *ctx)
{
	struct xdp_buff *xdp = (void *)ctx[0];
	struct xdp_rxq_info *rxq = READ(xdp->rxq);
	struct net_device *dev = READ(rxq->dev);
	return READ(dev->ifindex) + READ(xdp->frame_sz) + READ(dev->name[3]) + READ(rxq->queue_index);
}

LICENSE;
