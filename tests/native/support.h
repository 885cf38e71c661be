/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_NATIVE_SUPPORT_H
#define TESTS_NATIVE_SUPPORT_H

#include "../../samples/lib/loader.h"
#include "ecalls.h"
#include "tap.h"

#define PAGE SGX_PAGE_SIZE

/* An enclave of 16 pages that is never entered: for tests of its building. */
enum tiny_page {
	TINY_RW,
	TINY_RX,
	TINY_R,
	TINY_TCS,
	TINY_FREE,		/* from here on nothing is added */
	TINY_PAGES = 16,
};

/* Laid out and reserved, the device opened; gives up where that fails. */
void tiny_open(struct enclave *e);

/* And created; and its pages added; and signed; and initialised. */
void tiny_create(struct enclave *e);
void tiny_add(struct enclave *e);
void tiny_sign(struct enclave *e);
void tiny_init(struct enclave *e);

/* The test enclave, built with many threads; gives up where that fails. */
void test_enclave(struct enclave *e, const struct enclave_options *options);

/* And with these flags in each TCS. */
void test_enclave_with(struct enclave *e, const struct enclave_options *options,
		       uint64_t tcs_flags);

/* A TCS that no test has used yet. */
unsigned int fresh_thread(struct enclave *e);

/* An address of the test enclave: see ecalls.h. */
uint64_t test_address(struct enclave *e, enum test_place place);

/* An ECALL of two arguments on a thread; true if it ended by EEXIT. */
bool test_call(struct enclave *e, unsigned int thread, enum test_ecall number,
	       uint64_t rsi, uint64_t rdx, uint64_t *result);

/* The same, for one that must be interrupted; expects these. */
void expect_exception(struct enclave *e, unsigned int thread,
		      enum test_ecall number, uint64_t rsi, uint64_t rdx,
		      unsigned int vector, unsigned int error_code,
		      uint64_t address, const char *name);

/* EENTER or ERESUME with these; expects a fault of the ENCLU itself. */
void expect_enclu_fault(uint64_t tcs, uint32_t leaf, unsigned int vector,
			const char *name);

/* A page of ordinary memory, followed by nothing; and one that is not there. */
void *ordinary_page(void);
void *absent_page(void);

#endif
