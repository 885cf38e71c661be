/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PAGING_H
#define PAGING_H

#include <stdint.h>

enum call {
	CALL_HEAP,	/* the address of the heap, taken once */
	CALL_WORK,	/* as the struct work at RSI says */
};

/* A walk over pages of the heap: check what one round left, leave the next. */
struct work {
	uint64_t first, pages;
	uint64_t round;		/* what is there; 0: anything */
	uint64_t next;		/* what is to be there; 0: do not write */
	uint64_t step;		/* pages from one to the next, modulo pages */
	uint64_t words;		/* how many of each page's words */
	uint64_t wrong;		/* out */
};

static inline uint64_t word_of(uint64_t page, uint64_t word, uint64_t round)
{
	uint64_t x = (page * 512 + word + 1) * 0x9e3779b97f4a7c15ull;

	return (x ^ (x >> 29)) + round * 0xbf58476d1ce4e5b9ull;
}

static inline void do_work(volatile uint64_t *heap, struct work *w)
{
	uint64_t i, k, page, at = 0, stride = 512 / w->words;

	for (i = 0; i < w->pages; i++) {
		page = w->first + at;
		at = (at + w->step) % w->pages;
		for (k = 0; k < 512; k += stride) {
			volatile uint64_t *p = heap + page * 512 + k;

			if (w->round && *p != word_of(page, k, w->round))
				w->wrong++;
			if (w->next)
				*p = word_of(page, k, w->next);
		}
	}
}

#endif
