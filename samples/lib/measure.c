// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "measure.h"

struct ecreate_record {
	char	 tag[8];
	uint32_t ssa_frame_pages;
	uint32_t size[2];	/* a u64 at an odd offset */
	uint8_t	 zero[44];
};

struct eadd_record {
	char	 tag[8];
	uint64_t offset;
	uint8_t	 secinfo[48];
};

struct eextend_record {
	char	 tag[8];
	uint64_t offset;
	uint8_t	 zero[48];
};

_Static_assert(offsetof(struct ecreate_record, size) == 12, "ECREATE");
_Static_assert(sizeof(struct ecreate_record) == 64, "ECREATE");
_Static_assert(offsetof(struct ecreate_record, zero) == 20, "ECREATE");
_Static_assert(sizeof(struct eadd_record) == 64, "EADD");
_Static_assert(sizeof(struct eextend_record) == 64, "EEXTEND");

void measure_ecreate(struct measurement *m, uint32_t ssa_frame_pages,
		     uint64_t size)
{
	struct ecreate_record record = {
		.tag = "ECREATE", .ssa_frame_pages = ssa_frame_pages,
		.size = { size, size >> 32 },
	};

	sha256_init(&m->hash);
	sha256_update(&m->hash, &record, sizeof(record));
}

void measure_eadd(struct measurement *m, uint64_t offset,
		  const struct sgx_secinfo *secinfo)
{
	struct eadd_record record = { .tag = "EADD", .offset = offset };

	memcpy(record.secinfo, secinfo, sizeof(record.secinfo));
	sha256_update(&m->hash, &record, sizeof(record));
}

void measure_eextend(struct measurement *m, uint64_t offset, const void *chunk)
{
	struct eextend_record record = { .tag = "EEXTEND", .offset = offset };

	sha256_update(&m->hash, &record, sizeof(record));
	sha256_update(&m->hash, chunk, SGX_EEXTEND_CHUNK);
}

void measure_page(struct measurement *m, uint64_t offset, const void *page)
{
	uint64_t i;

	for (i = 0; i < SGX_PAGE_SIZE; i += SGX_EEXTEND_CHUNK)
		measure_eextend(m, offset + i, (const uint8_t *)page + i);
}

void measure_final(struct measurement *m, uint8_t mrenclave[SGX_HASH_SIZE])
{
	sha256_final(&m->hash, mrenclave);
}
