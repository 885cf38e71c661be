// SPDX-License-Identifier: Apache-2.0
#include "../../../../samples/lib/enclave_rt.h"
#include "paging.h"

ENCLAVE_CONFIG(16, 2, 2);

static uint64_t *heap;

uint64_t enclave_call(uint64_t number, void *argument,
		      struct enclave_frame *frame)
{
	(void)frame;
	switch (number) {
	case CALL_HEAP:
		if (!heap)
			heap = enclave_alloc(enclave_config.heap_pages * 4096ull);
		return (uint64_t)heap;
	case CALL_WORK:
		do_work(heap, argument);
		return 0;
	default:
		return ~0ull;
	}
}
