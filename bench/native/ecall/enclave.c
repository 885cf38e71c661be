// SPDX-License-Identifier: Apache-2.0
#include "../../../samples/lib/enclave_rt.h"
#include "compute.h"

ENCLAVE_CONFIG(1, 4, 32);

static uint64_t table[BENCH_TABLE];

uint64_t enclave_call(uint64_t number, void *argument, struct enclave_frame *frame)
{
	(void)frame;
	return number == BENCH_COMPUTE ? bench_compute(table, (uint64_t)argument) : 0;
}
