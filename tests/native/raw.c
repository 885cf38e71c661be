// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include <cpuid.h>
#include <stddef.h>

#include "../../samples/lib/sgx_arch.h"
#include "raw.h"

volatile uint64_t raw_flags_in = 2, raw_flags_out, raw_rsp, aep_count;

#define ARITHMETIC_FLAGS 0x8d5
#define SW_BYTES 464		/* struct _fpx_sw_bytes, in the FXSAVE image */
#define XSTATE_MAGIC 0x46505853
#define XSAVE_HEADER 512

const uint8_t *raw_component(const ucontext_t *context, unsigned int n,
			     unsigned int *size)
{
	const uint8_t *image = (const uint8_t *)context->uc_mcontext.fpregs;
	unsigned int offset, ecx, edx;

	*size = 0;
	if (*(const uint32_t *)(image + SW_BYTES) != XSTATE_MAGIC ||
	    !(*(const uint64_t *)(image + XSAVE_HEADER) >> n & 1))
		return NULL;
	__cpuid_count(0xd, n, *size, offset, ecx, edx);
	return image + offset;
}

static const char *vector_flaw(const ucontext_t *context, uint64_t xfrm)
{
	const struct _libc_fpstate *fp = context->uc_mcontext.fpregs;
	const uint8_t *bytes;
	unsigned int i, n, size;

	if (fp->cwd != 0x37f)
		return "the x87 control word";
	if (fp->swd)
		return "the x87 status word";
	if (fp->mxcsr != 0x1f80)
		return "MXCSR";
	for (i = 0; i < 8; i++)
		for (n = 0; n < 4; n++)
			if (fp->_st[i].significand[n])
				return "an x87 register";
	for (i = 0; i < 16; i++)
		for (n = 0; n < 4; n++)
			if (fp->_xmm[i].element[n])
				return "an XMM register";
	for (n = 2; n < 8; n++) {
		if (!(xfrm >> n & 1))
			continue;
		bytes = raw_component(context, n, &size);
		for (i = 0; bytes && i < size; i++)
			if (bytes[i])
				return n == 2 ? "an YMM register" :
						"an AVX-512 register";
	}
	return NULL;
}

const char *raw_flaw(const ucontext_t *context, uint64_t tcs, uint64_t xfrm)
{
	static const int zero[] = {
		REG_RDX, REG_RSI, REG_RDI, REG_R8, REG_R9, REG_R10, REG_R11,
		REG_R12, REG_R13, REG_R14, REG_R15,
	};
	const greg_t *g = context->uc_mcontext.gregs;
	unsigned int i;

	if (g[REG_RIP] != (greg_t)raw_aep)
		return "RIP";
	if (g[REG_RAX] != SGX_ERESUME)
		return "RAX";
	if ((uint64_t)g[REG_RBX] != tcs)
		return "RBX";
	if (g[REG_RCX] != (greg_t)raw_aep)
		return "RCX";
	if ((uint64_t)g[REG_RSP] != raw_rsp)
		return "RSP";
	if (g[REG_RBP] != RAW_RBP)
		return "RBP";
	for (i = 0; i < sizeof(zero) / sizeof(zero[0]); i++)
		if (g[zero[i]])
			return "a register that must be zero";
	if (g[REG_EFL] & ARITHMETIC_FLAGS)
		return "RFLAGS";
	return vector_flaw(context, xfrm);
}
