/* SPDX-License-Identifier: Apache-2.0 */
/* What the host may ask of the enclave. Arguments lie in the host's memory. */
#ifndef SAMPLES_HELLO_ECALLS_H
#define SAMPLES_HELLO_ECALLS_H

#include <stdint.h>

#include "../lib/sgx_arch.h"

enum hello_ecall {
	HELLO_SUM,
	HELLO_REPORT,
	HELLO_VERIFY,
};

enum hello_result {
	HELLO_OK,
	HELLO_BAD_POINTER,	/* not wholly outside the enclave */
	HELLO_TOO_LONG,
	HELLO_FALSE,
	HELLO_UNKNOWN,
};

struct hello_sum {
	const uint64_t *numbers;
	uint64_t count;
	uint64_t sum;		/* out */
	char *greeting;		/* out: a string */
	uint64_t greeting_size;
};

/* In: data for the report. Out: the report, made for the enclave itself. */
struct hello_report {
	uint8_t data[64];
	struct sgx_report report;
};

#endif
