/* SPDX-License-Identifier: Apache-2.0 */
/* One function, compiled for the inside and for the outside. */
#ifndef BENCH_COMPUTE_H
#define BENCH_COMPUTE_H

#include <stdint.h>

enum bench_ecall {
	BENCH_NOTHING,
	BENCH_COMPUTE,
};

#define BENCH_TABLE	8192	/* words: 64 KiB, more than the first cache */

/* Dependent arithmetic and loads and stores all over the table. */
static inline uint64_t bench_compute(uint64_t *table, uint64_t rounds)
{
	uint64_t x = 88172645463325252ull, i;

	for (i = 0; i < rounds; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		table[x % BENCH_TABLE] += x;
		x += table[(x >> 20) % BENCH_TABLE];
	}
	return x;
}

#endif
