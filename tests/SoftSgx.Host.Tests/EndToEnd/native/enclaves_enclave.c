// SPDX-License-Identifier: Apache-2.0
#include "../../../../samples/lib/enclave_rt.h"
#include "enclaves.h"

ENCLAVE_CONFIG(4, 2, 2);

static uint64_t memory[512];

uint64_t enclave_call(uint64_t number, void *argument,
		      struct enclave_frame *frame)
{
	volatile uint64_t *flag = argument;

	(void)frame;
	switch (number) {
	case CALL_ADD:
		return (uint64_t)argument + 1;
	case CALL_HOLD:
		*flag = 1;
		while (*flag == 1)
			__builtin_ia32_pause();
		return 0;
	case CALL_ADDRESS:
		memory[0]++;
		return (uint64_t)memory;
	default:
		return ~0ull;
	}
}
