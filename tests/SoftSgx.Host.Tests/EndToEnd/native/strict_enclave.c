// SPDX-License-Identifier: Apache-2.0
#include "../../../../samples/lib/enclave_rt.h"
#include "strict.h"

ENCLAVE_CONFIG(8, 2, 2);

#define WORDS (PAGES * 512)

static uint64_t memory[WORDS] __attribute__((aligned(4096)));

uint64_t enclave_call(uint64_t number, void *argument,
		      struct enclave_frame *frame)
{
	volatile uint64_t *flag = argument;
	uint64_t i, wrong = 0;

	(void)frame;
	switch (number) {
	case CALL_ADDRESS:
		for (i = 0; i < WORDS; i++)
			memory[i] = pattern(i);
		return (uint64_t)memory;
	case CALL_WRONG:
		for (i = 0; i < WORDS; i++)
			wrong += memory[i] != pattern(i);
		return wrong;
	case CALL_HOLD:
		*flag = 1;
		while (*flag == 1)
			__builtin_ia32_pause();
		return 0;
	case CALL_DIVIDE:
		__asm__ volatile ("xor %%ecx, %%ecx; div %%ecx"
				  : : : "eax", "ecx", "edx", "cc");
		return 0;
	case CALL_TOUCH:
		argument = enclave_alloc(enclave_config.heap_pages * 4096ull);
		for (i = 0; argument && i < enclave_config.heap_pages; i++)
			((volatile uint64_t *)argument)[i * 512] = i;
		return 0;
	default:
		return 0;
	}
}
