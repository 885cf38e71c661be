/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The runtime on the inside. There is no libc, no system call, no clock: only
 * this, the enclave's own code and its own memory.
 */
#ifndef SAMPLES_ENCLAVE_RT_H
#define SAMPLES_ENCLAVE_RT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "enclave_layout.h"
#include "sgx_arch.h"

/* Every enclave says once how much of everything it wants by default. */
#define ENCLAVE_CONFIG(nr_threads, nr_stack_pages, nr_heap_pages)	\
	__attribute__((section(".enclave_config"), used))		\
	const volatile struct enclave_config enclave_config = {		\
		.magic = ENCLAVE_MAGIC,					\
		.threads = (nr_threads),				\
		.stack_pages = (nr_stack_pages),			\
		.heap_pages = (nr_heap_pages),				\
		.ssa_frame_pages = 1,					\
	}

extern const volatile struct enclave_config enclave_config;

/*
 * Written by each enclave: a call from outside. RDI and RSI of the entry are
 * the number and, by custom, a pointer to arguments in the host's memory;
 * the result returns in RDI. The other registers are in the frame.
 */
uint64_t enclave_call(uint64_t number, void *argument,
		      struct enclave_frame *frame);

/*
 * An enclave may write its own: the thread was interrupted by an exception.
 * Change the saved state so that resuming goes on well and return true. exinfo
 * is NULL where the enclave was not made with MISCSELECT.EXINFO.
 */
bool enclave_exception(struct sgx_gprsgx *state,
		       const struct sgx_exinfo *exinfo,
		       struct enclave_frame *frame);

/*
 * An enclave that uses AEX-Notify writes its own, which never returns: an
 * asynchronous exit interrupted the thread, and the host has resumed it.
 */
void enclave_notified(struct sgx_gprsgx *state);

/* The end of one of this thread's SSA frames: frame 0 is that of an ECALL. */
struct sgx_gprsgx *enclave_saved_state(unsigned int frame);

void *enclave_base(void);
struct enclave_thread *enclave_thread(void);

/* Whether a range lies wholly inside, or wholly outside, the enclave. */
bool enclave_inside(const void *p, size_t length);
bool enclave_outside(const void *p, size_t length);

/*
 * Between the host's memory and the enclave's. The host can change its memory
 * at any time: copy first, then check the copy. False if "outside" is not.
 */
bool enclave_copy_in(void *inside, const void *outside, size_t length);
bool enclave_copy_out(void *outside, const void *inside, size_t length);

/* Never freed: an enclave's heap lives as long as the enclave. NULL if full. */
void *enclave_alloc(size_t length);

/* ENCLU[EREPORT]. Operands must be aligned as their types are; report to 512. */
void enclave_ereport(const struct sgx_targetinfo *target,
		     const struct sgx_reportdata *data,
		     struct sgx_report *report);

/* ENCLU[EGETKEY]: an enum sgx_error. The key must be aligned to 16 bytes. */
uint64_t enclave_egetkey(const struct sgx_keyrequest *request, uint8_t key[16]);

/* This enclave's own identity, and as a target of reports. */
void enclave_identity(struct sgx_report *report);
void enclave_as_target(const struct sgx_report *report,
		       struct sgx_targetinfo *target);

/* Whether a report was made on this machine, for this enclave. */
bool enclave_verify_report(const struct sgx_report *report);

void *memcpy(void *to, const void *from, size_t length);
void *memmove(void *to, const void *from, size_t length);
void *memset(void *p, int byte, size_t length);
int memcmp(const void *a, const void *b, size_t length);
size_t strlen(const char *s);

#endif
