/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SECURITY_H
#define SECURITY_H

#include <stdint.h>

#include "../../../../samples/lib/sgx_arch.h"

enum call {
	CALL_KEY,		/* the struct key_call at the argument */
};

struct key_call {
	struct sgx_keyrequest request;
	uint64_t error;		/* out */
	uint8_t key[16];	/* out */
};

#endif
