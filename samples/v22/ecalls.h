/* SPDX-License-Identifier: Apache-2.0 */
/* What the host may ask of the enclave. Arguments lie in the host's memory. */
#ifndef SAMPLES_V22_ECALLS_H
#define SAMPLES_V22_ECALLS_H

#include <stdint.h>

#include "../lib/sgx_arch.h"

enum v22_ecall {
	V22_REPORT,		/* writes a struct sgx_report of the enclave */
	V22_PROVISION_KEY,	/* returns EGETKEY's error code */
};

#endif
