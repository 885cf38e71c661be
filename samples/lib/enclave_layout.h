/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the loader outside and the runtime inside agree on. An enclave is
 *
 *	offset 0	its file's segments: configuration and constants (R),
 *			code (RX), data (RW)
 *	then, for	guard | stack (RW) | guard | exception stack, thread
 *	each thread	data, SSA frames (RW) | TCS
 *	then		the heap (RW), added without measuring it
 *
 * and nothing to the end of ELRANGE, which is a power of two. A guard is a page
 * that is never added. Everything is known by its offset, never by an address:
 * the base is chosen when the enclave is loaded and must not be measured.
 */
#ifndef SAMPLES_ENCLAVE_LAYOUT_H
#define SAMPLES_ENCLAVE_LAYOUT_H

/* struct enclave_thread, found through GS */
#define THREAD_SELF		0x00
#define THREAD_STACK_TOP	0x08
#define THREAD_EXCEPTION_TOP	0x10
#define THREAD_ENTRY_RBX	0x18

/* struct enclave_frame, what entry saved; the highest address first pushed */
#define FRAME_RAX		0x00
#define FRAME_RBX		0x08
#define FRAME_RCX		0x10
#define FRAME_RDX		0x18
#define FRAME_RSI		0x20
#define FRAME_RDI		0x28
#define FRAME_RBP		0x30
#define FRAME_R8		0x38
#define FRAME_R9		0x40
#define FRAME_R10		0x48
#define FRAME_R11		0x50
#define FRAME_R12		0x58
#define FRAME_R13		0x60
#define FRAME_R14		0x68
#define FRAME_R15		0x70
#define FRAME_RFLAGS		0x78
#define FRAME_RSP		0x80
#define FRAME_MXCSR		0x88
#define FRAME_FCW		0x8c
#define FRAME_SIZE		0x90

/* struct sgx_gprsgx, where the processor notes the host's stack */
#define GPRSGX_URSP		0x90
#define GPRSGX_URBP		0x98

#define ENCLAVE_SSA_FRAMES	2
#define ENCLAVE_MAGIC		0x31764c434e45534bull
#define ENCLAVE_MAX_THREADS	64

#ifndef __ASSEMBLER__

#include <stddef.h>
#include <stdint.h>

/*
 * The first bytes of an enclave. Its author gives the upper half; the loader
 * fills in the lower half, before measuring, from the layout that follows.
 */
struct enclave_config {
	uint64_t magic;
	uint32_t threads;
	uint32_t stack_pages;
	uint32_t heap_pages;
	uint32_t ssa_frame_pages;

	uint64_t size;			/* of ELRANGE */
	uint64_t threads_offset;
	uint64_t thread_size;
	uint64_t heap_offset;
};

/* A page of each thread's own, at FS and GS. Offsets from the enclave's base. */
struct enclave_thread {
	uint64_t self;
	uint64_t stack_top;
	uint64_t exception_top;
	uint64_t entry_rbx;	/* scratch of the entry code */
	uint64_t ssa;
	uint64_t tcs;
	uint64_t index;
};

struct enclave_frame {
	uint64_t rax;		/* CSSA at entry */
	uint64_t rbx;		/* the TCS's address */
	uint64_t rcx;		/* where EEXIT goes: behind the EENTER */
	uint64_t rdx;
	uint64_t rsi;
	uint64_t rdi;
	uint64_t rbp;
	uint64_t r8;
	uint64_t r9;
	uint64_t r10;
	uint64_t r11;
	uint64_t r12;
	uint64_t r13;
	uint64_t r14;
	uint64_t r15;
	uint64_t rflags;
	uint64_t rsp;
	uint32_t mxcsr;
	uint16_t fcw;
	uint16_t padding;
};

_Static_assert(offsetof(struct enclave_thread, exception_top) ==
	       THREAD_EXCEPTION_TOP, "thread");
_Static_assert(offsetof(struct enclave_thread, entry_rbx) ==
	       THREAD_ENTRY_RBX, "thread");
_Static_assert(offsetof(struct enclave_frame, rdi) == FRAME_RDI, "frame");
_Static_assert(offsetof(struct enclave_frame, r15) == FRAME_R15, "frame");
_Static_assert(offsetof(struct enclave_frame, rsp) == FRAME_RSP, "frame");
_Static_assert(offsetof(struct enclave_frame, fcw) == FRAME_FCW, "frame");
_Static_assert(sizeof(struct enclave_frame) == FRAME_SIZE, "frame");

/* What a second entry, with CSSA above zero, leaves in RDI. */
enum enclave_exception_result {
	ENCLAVE_EXCEPTION_FIXED,	/* resume the enclave */
	ENCLAVE_EXCEPTION_UNHANDLED,	/* resuming would fault again */
	ENCLAVE_EXCEPTION_NONE,		/* the SSA frame reports no exception */
};

#endif /* __ASSEMBLER__ */
#endif
