/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SAMPLES_CPU_H
#define SAMPLES_CPU_H

#include <stdbool.h>
#include <stdint.h>

/* What CPUID tells about SGX. */
struct sgx_cpu {
	bool	 sgx1;
	bool	 sgx2;
	bool	 launch_control;	/* flexible: Linux needs it */
	uint32_t miscselect;		/* what SECS may select */
	uint64_t attributes;
	uint64_t xfrm;
	unsigned int size_log2;		/* of the largest enclave */
	uint64_t epc_bytes;
	unsigned int epc_sections;
};

/* False, after saying why, where there is no SGX. */
bool sgx_cpu_detect(struct sgx_cpu *cpu);

#endif
