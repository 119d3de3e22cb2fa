/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The slots of the shared map: how often which code ran. */
#pragma once

enum {
	HITS_OTHER,
	HITS_IPV4,
	HITS_IPV6,
	HITS_ACTION,
	HITS_XDP,
	HITS,
};
