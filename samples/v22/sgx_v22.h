/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Linux's interface to SGX as the patch series v22 proposed it in September
 * 2019. CREATE and INIT are as they are today.
 */
#ifndef SAMPLES_SGX_V22_H
#define SAMPLES_SGX_V22_H

#include "../lib/sgx_linux.h"

struct sgx_enclave_add_page {
	uint64_t addr;		/* an address, not an offset */
	uint64_t src;
	uint64_t secinfo;
	uint16_t mrmask;	/* bit i: EEXTEND of the 256 bytes at 256 * i */
	uint8_t  reserved[6];
};

struct sgx_enclave_set_attribute {
	uint64_t attribute_fd;
};

#define SGX_IOC_ENCLAVE_ADD_PAGE \
	_IOW(SGX_MAGIC, 0x01, struct sgx_enclave_add_page)
#define SGX_IOC_ENCLAVE_SET_ATTRIBUTE \
	_IOW(SGX_MAGIC, 0x03, struct sgx_enclave_set_attribute)

_Static_assert(SGX_IOC_ENCLAVE_ADD_PAGE == 0x4020A401, "ADD_PAGE");
_Static_assert(SGX_IOC_ENCLAVE_SET_ATTRIBUTE == 0x4008A403, "SET_ATTRIBUTE");

#endif
