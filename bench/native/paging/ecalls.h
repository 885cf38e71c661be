/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_PAGING_ECALLS_H
#define BENCH_PAGING_ECALLS_H

#include <stdint.h>

enum paging_ecall {
	PAGING_TOUCH,
};

/* One thread's pages, touched in order, as often as wanted. */
struct paging_touch {
	uint64_t first;		/* page of the heap */
	uint64_t pages;
	uint64_t cycles;
	uint64_t wrong;		/* out: pages that were not as they were left */
};

#endif
