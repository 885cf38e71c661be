/* SPDX-License-Identifier: Apache-2.0 */
/* An EENTER with every register under control. */
#ifndef TESTS_NATIVE_TRANSITIONS_H
#define TESTS_NATIVE_TRANSITIONS_H

#define TRANSIT_RAX	0x00
#define TRANSIT_RBX	0x08
#define TRANSIT_RCX	0x10
#define TRANSIT_RDX	0x18
#define TRANSIT_RSI	0x20
#define TRANSIT_RDI	0x28
#define TRANSIT_RBP	0x30
#define TRANSIT_R8	0x38
#define TRANSIT_R9	0x40
#define TRANSIT_R10	0x48
#define TRANSIT_R11	0x50
#define TRANSIT_R12	0x58
#define TRANSIT_R13	0x60
#define TRANSIT_R14	0x68
#define TRANSIT_R15	0x70
#define TRANSIT_FLAGS	0x78
#define TRANSIT_RSP	0x80

#ifndef __ASSEMBLER__
#include <stdint.h>

struct transit {
	uint64_t rax, rbx, rcx, rdx, rsi, rdi, rbp;
	uint64_t r8, r9, r10, r11, r12, r13, r14, r15;
	uint64_t flags;
	uint64_t rsp;			/* out: as the enclave found it */
};

/*
 * By an ENCLU behind the instruction that loads EAX; by one behind several
 * short instructions; and by the same, but with a jump between those.
 */
void transit(struct transit *t);
void transit_short(struct transit *t);
void transit_inner(struct transit *t);

extern const uint8_t transit_enclu[], transit_short_enclu[], transit_aep[];
#endif
#endif
