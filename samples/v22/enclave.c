// SPDX-License-Identifier: Apache-2.0
#include "../lib/enclave_rt.h"
#include "ecalls.h"

ENCLAVE_CONFIG(1, 4, 2);

/* Part of a page of data: 256 bytes that count, and zeros that do not. */
static uint8_t table[4096] __attribute__((aligned(4096), section(".data.page"))) = "measured";

static uint64_t report(void *untrusted)
{
	struct sgx_report own __attribute__((aligned(512)));

	enclave_identity(&own);
	return enclave_copy_out(untrusted, &own, sizeof(own)) ? table[0] : 0;
}

/* Only an enclave with the attribute PROVISIONKEY gets this key. It stays. */
static uint64_t provision_key(void)
{
	struct sgx_keyrequest request;
	uint8_t key[SGX_KEY_SIZE] __attribute__((aligned(16)));
	struct sgx_report own __attribute__((aligned(512)));

	enclave_identity(&own);
	memset(&request, 0, sizeof(request));
	request.keyname = SGX_KEY_PROVISION;
	request.isv_svn = own.isv_svn;
	memcpy(request.cpu_svn, own.cpu_svn, sizeof(request.cpu_svn));
	return enclave_egetkey(&request, key);
}

uint64_t enclave_call(uint64_t number, void *argument,
		      struct enclave_frame *frame)
{
	(void)frame;
	switch (number) {
	case V22_REPORT:
		return report(argument);
	case V22_PROVISION_KEY:
		return provision_key();
	default:
		return -1ull;
	}
}
