/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MRENCLAVE in software: the processor hashes one 64-byte record for each
 * ECREATE, EADD and EEXTEND, and the 256 bytes that an EEXTEND covers.
 */
#ifndef SAMPLES_MEASURE_H
#define SAMPLES_MEASURE_H

#include "sgx_arch.h"
#include "sha256.h"

struct measurement {
	struct sha256 hash;
};

void measure_ecreate(struct measurement *m, uint32_t ssa_frame_pages,
		     uint64_t size);
void measure_eadd(struct measurement *m, uint64_t offset,
		  const struct sgx_secinfo *secinfo);
void measure_eextend(struct measurement *m, uint64_t offset,
		     const void *chunk);

/* All 16 chunks of a page, as the kernel extends it. */
void measure_page(struct measurement *m, uint64_t offset, const void *page);

void measure_final(struct measurement *m, uint8_t mrenclave[SGX_HASH_SIZE]);

#endif
