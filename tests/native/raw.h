/* SPDX-License-Identifier: Apache-2.0 */
/* Entering without the vDSO: ENCLU, and asynchronous exit pointers, of our own. */
#ifndef TESTS_NATIVE_RAW_H
#define TESTS_NATIVE_RAW_H

#define RAW_RBP 0x5ca1ab1e

#ifndef __ASSEMBLER__
#include <stdint.h>
#include <ucontext.h>

/*
 * RDI as the enclave leaves it. On the way in RFLAGS is raw_flags_in; RBP is
 * RAW_RBP, RSP is left in raw_rsp; on the way out RFLAGS goes to raw_flags_out.
 */
uint64_t raw_enclu(uint64_t leaf, uint64_t tcs, const void *aep, uint64_t rdi,
		   uint64_t rsi, uint64_t rdx);

extern volatile uint64_t raw_flags_in, raw_flags_out, raw_rsp;

/*
 * raw_aep resumes at once, counting_aep counts first. Both find RAX, RBX and
 * RCX as the processor left them.
 */
extern const uint8_t raw_enclu_instruction[], raw_aep[], counting_aep[];
extern volatile uint64_t aep_count;

/*
 * What in a handler's context is not as an asynchronous exit from that TCS
 * leaves it, the components of xfrm included; NULL if nothing is. Safe in
 * handlers.
 */
const char *raw_flaw(const ucontext_t *context, uint64_t tcs, uint64_t xfrm);

/* XSAVE component n of a handler's context; NULL if it is not there, or initial. */
const uint8_t *raw_component(const ucontext_t *context, unsigned int n,
			     unsigned int *size);

#endif
#endif
