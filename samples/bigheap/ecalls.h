/* SPDX-License-Identifier: Apache-2.0 */
/* What the host may ask of the enclave: a pass over the heap. */
#ifndef SAMPLES_BIGHEAP_ECALLS_H
#define SAMPLES_BIGHEAP_ECALLS_H

#include <stdint.h>

/*
 * The passes of a round, in the order in which they must be made. Each finds
 * the heap as the one before it left it, and checks that it does.
 */
enum bigheap_ecall {
	BIGHEAP_FILL,		/* zeros, to a value in every word */
	BIGHEAP_CHECK,		/* in the order of addresses; the next values */
	BIGHEAP_RANDOM,		/* all threads on all pages, in random order */
	BIGHEAP_CLEAR,		/* to zeros, which are an empty hash table */
	BIGHEAP_INSERT,
	BIGHEAP_LOOKUP,		/* keys that another thread has inserted */
	BIGHEAP_SWEEP,		/* every slot; back to zeros */
	BIGHEAP_PASSES
};

/* One thread's part of a pass. */
struct bigheap_work {
	uint64_t thread;	/* of threads */
	uint64_t threads;
	uint64_t round;
	uint64_t seed;
	uint64_t pages;		/* in and out: pages touched so far */
	uint64_t entries;	/* out: of the hash table, that SWEEP met */
	uint64_t errors;	/* out: words that were not what they must be */
	uint64_t address;	/* out: the first of them */
	uint64_t expected;
	uint64_t found;
};

/* Keys that a round puts into the hash table: one a page. */
#define BIGHEAP_KEYS_PER_PAGE	1
/* For so many keys looked up, one more that was never inserted. */
#define BIGHEAP_HITS_PER_MISS	4

#endif
