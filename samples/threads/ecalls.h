/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SAMPLES_THREADS_ECALLS_H
#define SAMPLES_THREADS_ECALLS_H

#include <stdbool.h>
#include <stdint.h>

enum threads_ecall {
	THREADS_WORK,
	THREADS_TOTAL,		/* what the shared counter holds */
	THREADS_HOLD,		/* stay inside until told to leave */
};

struct threads_work {
	uint64_t threads;	/* how many shall meet inside */
	uint64_t rounds;
	uint64_t seed;
	uint64_t value;		/* out: the seed, stirred that often */
	uint64_t met;		/* out: how many were inside at once */
};

struct threads_hold {
	volatile bool inside;	/* out */
	volatile bool leave;
};

/* The work, the same inside and outside: a step of a generator. */
static inline uint64_t threads_stir(uint64_t x)
{
	return x * 6364136223846793005ull + 1442695040888963407ull;
}

#endif
