/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loading an enclave: from an ELF file to something that can be entered.
 *
 *	enclave_load()		read the file and lay the enclave out in memory
 *	enclave_reserve()	find an address range for it
 *	enclave_create()	ECREATE
 *	enclave_add_pages()	EADD and EEXTEND, page by page
 *	enclave_sign()		make the SIGSTRUCT, with the test key
 *	enclave_init()		EINIT
 *	enclave_map()		map the pages, each segment by its permissions
 *
 * enclave_build() does them all. Each returns 0, or -1 after one line that says
 * what failed and why, with errno as it was. enclave_destroy() takes any state.
 */
#ifndef SAMPLES_LOADER_H
#define SAMPLES_LOADER_H

#include <stdbool.h>

#include "cpu.h"
#include "enclave_layout.h"
#include "enter.h"
#include "measure.h"
#include "sgx_arch.h"
#include "sgx_linux.h"

struct enclave_region;

/* Zero means: what the enclave's own configuration says, or the usual. */
struct enclave_options {
	unsigned int threads;
	unsigned int stack_pages;
	unsigned int heap_pages;
	bool debug;
	bool exinfo;		/* MISCSELECT.EXINFO, if the processor has it */
	uint64_t attributes;	/* more than MODE64BIT and DEBUG */
	uint64_t xfrm;		/* more than x87 and SSE, if available */
	uint16_t isv_prod_id;
	uint16_t isv_svn;
	/* A file with the SIGSTRUCT to use; NULL signs with the test key. */
	const char *sigstruct;
	/* Called now and then while a region is added: bytes so far. */
	void (*added)(const struct enclave_region *region, uint64_t done);
};

/* Consecutive pages that are alike. */
struct enclave_region {
	const char *name;
	uint64_t offset;
	uint64_t size;
	uint64_t secinfo_flags;
	int prot;
	bool measured;
};

#define ENCLAVE_MAX_REGIONS	(8 + 3 * ENCLAVE_MAX_THREADS)

struct enclave {
	struct enclave_options options;
	struct sgx_cpu cpu;
	int fd;
	uint64_t base;
	uint64_t size;			/* of ELRANGE */

	uint8_t *source;		/* the layout, in ordinary memory */
	uint64_t source_size;
	struct enclave_region regions[ENCLAVE_MAX_REGIONS];
	unsigned int nr_regions;
	uint64_t entry;
	struct enclave_config config;

	struct sgx_secs secs;
	struct measurement measurement;
	struct sgx_sigstruct sigstruct;
	uint8_t mrenclave[SGX_HASH_SIZE];
	uint8_t mrsigner[SGX_HASH_SIZE];

	unsigned int threads;
	uint64_t tcs[ENCLAVE_MAX_THREADS];	/* addresses */
};

/* An enclave that holds nothing yet, safe to destroy. */
void enclave_zero(struct enclave *e);

/* The enclave device, by either of its names. */
int enclave_open_device(void);

/* Look up the vDSO's function for sgx_enter(). */
int enclave_find_vdso(void);

int enclave_load(struct enclave *e, const char *path,
		 const struct enclave_options *options);
int enclave_reserve(struct enclave *e);
int enclave_create(struct enclave *e);
int enclave_add_pages(struct enclave *e);
int enclave_add_region(struct enclave *e, const struct enclave_region *region);
int enclave_sign(struct enclave *e);
int enclave_init(struct enclave *e);
int enclave_map(struct enclave *e);

int enclave_build(struct enclave *e, const char *path,
		  const struct enclave_options *options);
void enclave_destroy(struct enclave *e);

/* Parts of the above: sign what mrenclave says; fill in tcs[]. */
int enclave_sign_measured(struct enclave *e);
void enclave_find_threads(struct enclave *e);

/* The region that holds an offset, or NULL. */
const struct enclave_region *enclave_region_at(const struct enclave *e,
					       uint64_t offset);

/* NAME next to the running program; a static buffer. */
const char *enclave_beside_program(const char *name);

/*
 * Enter by a thread's TCS. 0: the enclave exited, and the registers are what it
 * left in them. 1: an exception, described in *run. -1: after a line on stderr.
 */
int enclave_enter(struct enclave *e, unsigned int thread, uint32_t leaf,
		  struct sgx_registers *registers, struct sgx_enclave_run *run);

/* An ECALL that must succeed. -1 after a line otherwise. */
int enclave_ecall(struct enclave *e, unsigned int thread, uint64_t number,
		  void *argument, uint64_t *result);

/* "vector 14 (#PF), error code 0x7, address 0x…"; a static buffer. */
const char *enclave_describe(const struct sgx_enclave_run *run);

#endif
