// SPDX-License-Identifier: Apache-2.0
#include "../../../../samples/lib/enclave_rt.h"
#include "security.h"

ENCLAVE_CONFIG(1, 2, 2);

static struct sgx_keyrequest request;
static uint8_t key[16] __attribute__((aligned(16)));

uint64_t enclave_call(uint64_t number, void *argument,
		      struct enclave_frame *frame)
{
	struct key_call *call = argument;
	uint64_t error;

	(void)frame;
	if (number != CALL_KEY ||
	    !enclave_copy_in(&request, &call->request, sizeof(request)))
		return ~0ull;
	error = enclave_egetkey(&request, key);
	return enclave_copy_out(&call->error, &error, sizeof(error)) &&
	       enclave_copy_out(call->key, key, sizeof(key)) ? 0 : ~0ull;
}
