// SPDX-License-Identifier: Apache-2.0
#include "../lib/enclave_rt.h"
#include "ecalls.h"

ENCLAVE_CONFIG(1, 4, 16);

/* Instructions that fault, each with a label to recognise it by. */
extern const uint8_t faulting_div[] __attribute__((visibility("hidden")));
extern const uint8_t faulting_ud2[] __attribute__((visibility("hidden")));

static volatile uint64_t page[512]
	__attribute__((section(".data.page"), aligned(4096)));

static uint64_t seen_vector = NOTHING_SEEN;
static uint64_t seen_address;

static __attribute__((noinline)) uint64_t divide(uint64_t dividend,
						 uint64_t divisor)
{
	uint64_t high = 0;

	asm volatile(".globl faulting_div\n"
		     "faulting_div: div %2"
		     : "+a"(dividend), "+d"(high) : "c"(divisor) : "cc");
	return dividend;
}

static __attribute__((noinline)) uint64_t undefined(void)
{
	asm volatile(".globl faulting_ud2\n"
		     "faulting_ud2: ud2");
	return AFTER_UNDEFINED;
}

static uint64_t write_page(uint64_t value)
{
	page[7] = value;
	return page[7];
}

/*
 * Runs on a second SSA frame and a second stack, while the interrupted state
 * lies in the first frame, to be read and changed. What is not recognised is
 * left alone: a handler that "repairs" the unknown is a gift to an attacker.
 */
bool enclave_exception(struct sgx_gprsgx *state,
		       const struct sgx_exinfo *exinfo,
		       struct enclave_frame *frame)
{
	(void)frame;
	seen_vector = SGX_EXITINFO_VECTOR(state->exitinfo);
	switch (seen_vector) {
	case SGX_VECTOR_DE:
		if (state->rip != (uint64_t)faulting_div)
			return false;
		state->rcx = 1;		/* this enclave's idea of x / 0 */
		return true;
	case SGX_VECTOR_UD:
		if (state->rip != (uint64_t)faulting_ud2)
			return false;
		state->rip += 2;	/* UD2 is two bytes long */
		return true;
	case SGX_VECTOR_PF:
		if (!exinfo)
			return false;
		seen_address = exinfo->maddr - (uint64_t)enclave_base();
		return true;		/* the host gives the page back */
	default:
		return false;
	}
}

uint64_t enclave_call(uint64_t number, void *argument,
		      struct enclave_frame *frame)
{
	switch (number) {
	case EXCEPTIONS_DIVIDE:
		return divide((uint64_t)argument, frame->rdx);
	case EXCEPTIONS_UNDEFINED:
		return undefined();
	case EXCEPTIONS_PAGE:
		return (uint64_t)page - (uint64_t)enclave_base();
	case EXCEPTIONS_WRITE:
		return write_page((uint64_t)argument);
	case EXCEPTIONS_SEEN:
		return seen_vector;
	case EXCEPTIONS_SEEN_ADDRESS:
		return seen_address;
	default:
		return NOTHING_SEEN;
	}
}
