/* Bit-fields of enums and of wide words. */
#include "core.h"

enum fs_context_purpose { FS_CONTEXT_FOR_MOUNT };
enum netdev_stat_type { NETDEV_PCPU_STAT_NONE };

struct fs_context {
	enum fs_context_purpose purpose : 8;
	u32 oldapi : 1;
} CORE;

struct net_device {
	u64 priv_flags : 32;
	u64 lltx : 1;
	enum netdev_stat_type pcpu_stat_type : 8;
} CORE;

#define ALL(field) (OFFSET(field) + 3 * SIZE(field) + 5 * SIGNED(field) + 7 * LSHIFT(field) + 11 * RSHIFT(field))

SEC("raw_tp/x")
int enums(void *ctx)
{
	struct fs_context *fc = ctx;
	return ALL(fc->purpose) + ALL(fc->oldapi);
}

SEC("raw_tp/x")
int words(void *ctx)
{
	struct net_device *dev = ctx;
	return ALL(dev->priv_flags) + ALL(dev->lltx) + ALL(dev->pcpu_stat_type);
}

LICENSE;
