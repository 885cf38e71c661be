/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SAMPLES_ENTER_H
#define SAMPLES_ENTER_H

#ifndef __ASSEMBLER__
#include <stdint.h>

#include "sgx_linux.h"

/* The registers that the vDSO passes through, both ways. */
struct sgx_registers {
	uint64_t rdi;
	uint64_t rsi;
	uint64_t rdx;
	uint64_t r8;
	uint64_t r9;
	uint64_t r10;
	uint64_t r11;
	uint64_t r12;
	uint64_t r13;
	uint64_t r14;
	uint64_t r15;
};

/* __vdso_sgx_enter_enclave, once somebody has looked it up. */
extern sgx_vdso_enter_t sgx_vdso_enter;

/*
 * Enter by the vDSO with these registers, take back what they are afterwards,
 * and return what the vDSO returned.
 */
int sgx_enter(struct sgx_registers *registers, uint32_t leaf,
	      struct sgx_enclave_run *run);
#endif
#endif
