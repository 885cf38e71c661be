// SPDX-License-Identifier: Apache-2.0
#include <cpuid.h>
#include <string.h>

#include "cpu.h"
#include "report_error.h"

#define LEAF_FEATURES	7
#define LEAF_SGX	0x12

struct cpuid {
	uint32_t eax, ebx, ecx, edx;
};

static struct cpuid cpuid(uint32_t leaf, uint32_t subleaf)
{
	struct cpuid r;

	__cpuid_count(leaf, subleaf, r.eax, r.ebx, r.ecx, r.edx);
	return r;
}

static bool no_sgx(const char *why)
{
	report_error("this processor has no SGX: %s", why);
	return false;
}

/* Sub-leaves from 2 on list the EPC until one is of type 0. */
static void detect_epc(struct sgx_cpu *cpu)
{
	uint32_t subleaf;
	struct cpuid r;

	for (subleaf = 2; subleaf < 34; subleaf++) {
		r = cpuid(LEAF_SGX, subleaf);
		if ((r.eax & 0xf) == 0)
			break;
		cpu->epc_sections++;
		cpu->epc_bytes += (uint64_t)(r.edx & 0xfffff) << 32 |
				  (r.ecx & 0xfffff000);
	}
}

bool sgx_cpu_detect(struct sgx_cpu *cpu)
{
	struct cpuid r;

	memset(cpu, 0, sizeof(*cpu));
	if (cpuid(0, 0).eax < LEAF_SGX)
		return no_sgx("CPUID ends below leaf 0x12");
	r = cpuid(LEAF_FEATURES, 0);
	if (!(r.ebx >> 2 & 1))
		return no_sgx("bit 2 of EBX is clear in CPUID leaf 7");
	cpu->launch_control = r.ecx >> 30 & 1;

	r = cpuid(LEAF_SGX, 0);
	cpu->sgx1 = r.eax & 1;
	cpu->sgx2 = r.eax >> 1 & 1;
	cpu->miscselect = r.ebx;
	cpu->size_log2 = r.edx >> 8 & 0xff;
	if (!cpu->sgx1)
		return no_sgx("CPUID leaf 0x12 has no SGX1: "
			      "is it disabled in the firmware?");

	r = cpuid(LEAF_SGX, 1);
	cpu->attributes = (uint64_t)r.ebx << 32 | r.eax;
	cpu->xfrm = (uint64_t)r.edx << 32 | r.ecx;
	detect_epc(cpu);
	return true;
}
