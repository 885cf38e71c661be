/* SPDX-License-Identifier: Apache-2.0 */
/* What the test enclave does on request. RSI, RDX, R8 and R9 are arguments. */
#ifndef TESTS_NATIVE_ECALLS_H
#define TESTS_NATIVE_ECALLS_H

#include <stdint.h>

#include "../../samples/lib/enclave_layout.h"
#include "../../samples/lib/sgx_arch.h"

#define TEST_MAGIC 0x600d600d600d600dull

enum test_ecall {
	TEST_NOTHING,		/* returns TEST_MAGIC */
	TEST_PLACE,		/* the address of a test_place */
	TEST_REGISTERS,		/* fill the struct test_registers at RSI */
	TEST_RETURN,		/* leave with RDI, RSI, RDX, R8, R9 from RSI */
	TEST_READ,		/* the u64 at RSI */
	TEST_WRITE,		/* RDX to the u64 at RSI */
	TEST_JUMP,		/* to RSI */
	TEST_DIVIDE,		/* by zero */
	TEST_UD2,
	TEST_INT3,
	TEST_CPUID,
	TEST_SYSCALL,
	TEST_ENCLU,		/* leaf RSI, with RBX = RDX, RCX = R8, RDX = R9;
				   returns RAX, and RFLAGS in RDX */
	TEST_EXIT_DF,		/* leave with the direction flag set */
	TEST_SPIN,		/* RDX rounds of test_stir() from RSI */
	TEST_SPIN_UNTIL,	/* as the struct test_wait at RSI says */
	TEST_HOLD_STATE,	/* likewise, with all registers in use */
	TEST_HOLD_STATE_AVX,
	TEST_INCREMENT,		/* a counter of the enclave's */
	TEST_GETKEY,		/* struct test_getkey at RSI */
	TEST_REPORT,		/* struct test_report at RSI */
	TEST_VERIFY,		/* the struct sgx_report at RSI */
	TEST_ILLEGAL,		/* the enum test_illegal RSI */
	TEST_HOLD_STATE_AVX512,	/* as TEST_HOLD_STATE */
	TEST_HOLD_FLAGS,	/* likewise, with these RFLAGS: RDX; returns them */
	TEST_EXCEPTION,		/* the enum test_vector RSI */
	TEST_CALL,		/* the function at RSI; returns its RAX */
	TEST_TRAP_FLAG,		/* set RFLAGS.TF; returns RFLAGS one later */
	TEST_NOTIFY,		/* AEX-Notify for this thread from now on: RSI */
	TEST_NOTIFIED,		/* how often AEX-Notify came in */
	TEST_EXIT_SHORT,	/* leave by an ENCLU behind short instructions */
	TEST_UNKNOWN = 999,
};

enum test_place {
	PLACE_ARENA,		/* two pages, readable and writable */
	PLACE_CONSTANT,		/* in a page that is only readable: ENCLAVE_MAGIC */
	PLACE_CODE,		/* in a page that is not writable */
	PLACE_GUARD,		/* a page inside ELRANGE never added */
	PLACE_COUNT,
};

/* Instructions that no enclave may execute. */
enum test_illegal {
	ILLEGAL_INT80,
	ILLEGAL_INT21,
	ILLEGAL_SYSENTER,
	ILLEGAL_IN,
	ILLEGAL_OUT,
	ILLEGAL_INS,
	ILLEGAL_OUTS,
	ILLEGAL_INT1,		/* legal after an opt-in entry */
	ILLEGAL_COUNT,
};

/* Exceptions that need some preparation. */
enum test_vector {
	VECTOR_MF,		/* division by zero, unmasked, of the x87 */
	VECTOR_XM,		/* likewise of SSE */
	VECTOR_AC,		/* an access that is not aligned, under AC */
};

/* What a second entry, after an exception, asks for in RDI. */
enum test_handling {
	HANDLE_RECOVER,		/* go on behind what faulted */
	HANDLE_RECORD,		/* the struct test_exception at RSI; no change */
	HANDLE_FAULT,		/* fault in the handler */
	HANDLE_REFUSE,
};

struct test_registers {
	struct enclave_frame frame;
	uint64_t fs_self;	/* what FS:0 and GS:0 hold */
	uint64_t gs_self;
	uint64_t fs_base;	/* by RDFSBASE and RDGSBASE */
	uint64_t gs_base;
	uint64_t thread;	/* what all of them should be */
};

struct test_exception {
	struct sgx_gprsgx state;
	struct sgx_exinfo exinfo;	/* zero without MISCSELECT.EXINFO */
};

struct test_wait {
	volatile uint32_t leave;	/* in: until this is not zero */
	volatile uint32_t inside;	/* out: set on arrival */
};

struct test_return {
	uint64_t rdi, rsi, rdx, r8, r9;
};

struct test_getkey {
	struct sgx_keyrequest request;
	uint64_t error;			/* out */
	uint8_t key[SGX_KEY_SIZE];	/* out */
};

struct test_report {
	struct sgx_targetinfo target;
	uint8_t data[64];
	uint64_t to_self;		/* ignore target, report to itself */
	struct sgx_report report;	/* out */
};

static inline uint64_t test_stir(uint64_t x)
{
	return x * 6364136223846793005ull + 1442695040888963407ull;
}

#endif
