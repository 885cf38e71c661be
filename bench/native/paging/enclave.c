// SPDX-License-Identifier: Apache-2.0
#include "../../../samples/lib/enclave_rt.h"
#include "ecalls.h"

ENCLAVE_CONFIG(2, 4, 256 * 64);

/* One word a page: what is measured is the paging, not the memory. */
static void touch(struct paging_touch *t)
{
	uint8_t *heap = (uint8_t *)enclave_base() + enclave_config.heap_offset;
	uint64_t cycle, page;
	volatile uint64_t *word;

	for (cycle = 0; cycle < t->cycles; cycle++)
		for (page = t->first; page < t->first + t->pages; page++) {
			word = (uint64_t *)(heap + page * SGX_PAGE_SIZE);
			t->wrong += *word != (cycle ? page + cycle : 0);
			*word = page + cycle + 1;
		}
}

uint64_t enclave_call(uint64_t number, void *argument, struct enclave_frame *frame)
{
	struct paging_touch t;

	(void)frame;
	if (number != PAGING_TOUCH || !enclave_copy_in(&t, argument, sizeof(t)))
		return 1;
	if (t.first > enclave_config.heap_pages ||
	    t.pages > enclave_config.heap_pages - t.first)
		return 1;
	t.wrong = 0;
	touch(&t);
	return !enclave_copy_out(argument, &t, sizeof(t));
}
