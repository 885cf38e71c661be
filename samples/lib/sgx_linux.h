/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Linux's interface to SGX (5.11 and later), declared here so that the samples
 * build where the kernel's headers are older. SGX2's ioctls are included: the
 * numbers are part of the contract even where a processor lacks it.
 */
#ifndef SAMPLES_SGX_LINUX_H
#define SAMPLES_SGX_LINUX_H

#include <stddef.h>
#include <stdint.h>
#include <sys/ioctl.h>

#define SGX_MAGIC		0xA4
#define SGX_PAGE_MEASURE	1ull	/* sgx_enclave_add_pages.flags */

struct sgx_enclave_create {
	uint64_t src;		/* the SECS, a page */
};

struct sgx_enclave_add_pages {
	uint64_t src;
	uint64_t offset;
	uint64_t length;
	uint64_t secinfo;
	uint64_t flags;
	uint64_t count;		/* out: bytes added */
};

struct sgx_enclave_init {
	uint64_t sigstruct;
};

struct sgx_enclave_provision {
	uint64_t fd;
};

struct sgx_enclave_restrict_permissions {
	uint64_t offset;
	uint64_t length;
	uint64_t permissions;
	uint64_t result;	/* out: EMODPR's error code */
	uint64_t count;
};

struct sgx_enclave_modify_types {
	uint64_t offset;
	uint64_t length;
	uint64_t page_type;
	uint64_t result;	/* out: EMODT's error code */
	uint64_t count;
};

struct sgx_enclave_remove_pages {
	uint64_t offset;
	uint64_t length;
	uint64_t count;
};

#define SGX_IOC_ENCLAVE_CREATE \
	_IOW(SGX_MAGIC, 0x00, struct sgx_enclave_create)
#define SGX_IOC_ENCLAVE_ADD_PAGES \
	_IOWR(SGX_MAGIC, 0x01, struct sgx_enclave_add_pages)
#define SGX_IOC_ENCLAVE_INIT \
	_IOW(SGX_MAGIC, 0x02, struct sgx_enclave_init)
#define SGX_IOC_ENCLAVE_PROVISION \
	_IOW(SGX_MAGIC, 0x03, struct sgx_enclave_provision)
#define SGX_IOC_ENCLAVE_RESTRICT_PERMISSIONS \
	_IOWR(SGX_MAGIC, 0x05, struct sgx_enclave_restrict_permissions)
#define SGX_IOC_ENCLAVE_MODIFY_TYPES \
	_IOWR(SGX_MAGIC, 0x06, struct sgx_enclave_modify_types)
#define SGX_IOC_ENCLAVE_REMOVE_PAGES \
	_IOWR(SGX_MAGIC, 0x07, struct sgx_enclave_remove_pages)

_Static_assert(SGX_IOC_ENCLAVE_CREATE == 0x4008A400, "CREATE");
_Static_assert(SGX_IOC_ENCLAVE_ADD_PAGES == 0xC030A401, "ADD_PAGES");
_Static_assert(SGX_IOC_ENCLAVE_INIT == 0x4008A402, "INIT");
_Static_assert(SGX_IOC_ENCLAVE_PROVISION == 0x4008A403, "PROVISION");
_Static_assert(SGX_IOC_ENCLAVE_RESTRICT_PERMISSIONS == 0xC028A405, "RESTRICT");
_Static_assert(SGX_IOC_ENCLAVE_MODIFY_TYPES == 0xC028A406, "MODIFY");
_Static_assert(SGX_IOC_ENCLAVE_REMOVE_PAGES == 0xC018A407, "REMOVE");

struct sgx_enclave_run;

/* Called by the vDSO after each exit: >0 is the leaf to enter with again. */
typedef int (*sgx_user_handler_t)(long rdi, long rsi, long rdx, long rsp,
				  long r8, long r9,
				  struct sgx_enclave_run *run);

struct sgx_enclave_run {
	uint64_t tcs;
	uint32_t function;	/* out: SGX_EEXIT, or the leaf that faulted */
	uint16_t exception_vector;
	uint16_t exception_error_code;
	uint64_t exception_addr;
	uint64_t user_handler;
	uint64_t user_data;
	uint8_t  reserved[216];
};

_Static_assert(offsetof(struct sgx_enclave_run, exception_addr) == 16, "run");
_Static_assert(offsetof(struct sgx_enclave_run, reserved) == 40, "run");
_Static_assert(sizeof(struct sgx_enclave_run) == 256, "run");

/* __vdso_sgx_enter_enclave: registers beyond the arguments pass through too. */
typedef int (*sgx_vdso_enter_t)(unsigned long rdi, unsigned long rsi,
				unsigned long rdx, unsigned int leaf,
				unsigned long r8, unsigned long r9,
				struct sgx_enclave_run *run);

#endif
