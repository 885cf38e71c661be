// SPDX-License-Identifier: Apache-2.0
/* From an enclave's layout to an enclave: the device's ioctls and mmap. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "loader.h"
#include "report_error.h"
#include "sample_key.h"
#include "sigstruct.h"
#include "vdso.h"

void enclave_zero(struct enclave *e)
{
	memset(e, 0, sizeof(*e));
	e->fd = -1;
}

int enclave_open_device(void)
{
	int fd = open("/dev/sgx_enclave", O_RDWR | O_CLOEXEC);

	if (fd < 0 && errno == ENOENT)
		fd = open("/dev/sgx/enclave", O_RDWR | O_CLOEXEC);
	if (fd < 0)
		report_errno("cannot open /dev/sgx_enclave, nor /dev/sgx/enclave");
	return fd;
}

/*
 * ELRANGE must be aligned to its own size: reserve twice as much, keep the
 * aligned half. Nothing else can then be mapped where the enclave will be.
 */
int enclave_reserve(struct enclave *e)
{
	uint64_t area, base;
	void *p;

	p = mmap(NULL, 2 * e->size, PROT_NONE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED) {
		report_errno("cannot reserve 0x%llx bytes of addresses",
			     (unsigned long long)(2 * e->size));
		return -1;
	}
	area = (uint64_t)p;
	base = (area + e->size - 1) & ~(e->size - 1);
	if (base > area)
		munmap(p, base - area);
	munmap((void *)(base + e->size), area + e->size - base);
	e->base = base;
	return 0;
}

int enclave_create(struct enclave *e)
{
	struct sgx_enclave_create create = { .src = (uint64_t)&e->secs };

	e->secs.base = e->base;
	if (ioctl(e->fd, SGX_IOC_ENCLAVE_CREATE, &create)) {
		report_errno("CREATE of an enclave of 0x%llx bytes failed",
			     (unsigned long long)e->size);
		return -1;
	}
	return 0;
}

/* At most so much by one call if somebody wants to see that it goes on. */
#define ADDED_AT_ONCE	(1024 * SGX_PAGE_SIZE)

static int add_pages(struct enclave *e, const struct enclave_region *region,
		     const struct sgx_secinfo *secinfo, uint64_t done)
{
	struct sgx_enclave_add_pages add = {
		.src = (uint64_t)(e->source + region->offset + done),
		.offset = region->offset + done,
		.length = region->size - done,
		.secinfo = (uint64_t)secinfo,
		.flags = region->measured ? SGX_PAGE_MEASURE : 0,
	};

	if (e->options.added && add.length > ADDED_AT_ONCE)
		add.length = ADDED_AT_ONCE;
	if (ioctl(e->fd, SGX_IOC_ENCLAVE_ADD_PAGES, &add)) {
		report_errno("ADD_PAGES of the %s at offset 0x%llx failed",
			     region->name, (unsigned long long)add.offset);
		return -1;
	}
	if (add.count == 0 || add.count > add.length) {
		report_error("ADD_PAGES of the %s says it added 0x%llx bytes",
			     region->name, (unsigned long long)add.count);
		errno = EPROTO;
		return -1;
	}
	return add.count / SGX_PAGE_SIZE;
}

/* One call may add fewer pages than asked: a signal came. Then go on. */
int enclave_add_region(struct enclave *e, const struct enclave_region *region)
{
	struct sgx_secinfo secinfo = { .flags = region->secinfo_flags };
	uint64_t done = 0;
	int pages;

	while (done < region->size) {
		pages = add_pages(e, region, &secinfo, done);
		if (pages < 0)
			return -1;
		done += pages * SGX_PAGE_SIZE;
		if (e->options.added)
			e->options.added(region, done);
	}
	return 0;
}

int enclave_add_pages(struct enclave *e)
{
	unsigned int i;

	for (i = 0; i < e->nr_regions; i++)
		if (enclave_add_region(e, &e->regions[i]))
			return -1;
	return 0;
}

/* The kernel adds a page, extends by its 16 chunks, and takes the next. */
static void measure(struct enclave *e)
{
	const struct enclave_region *r;
	struct sgx_secinfo secinfo = { 0 };
	uint64_t offset;

	measure_ecreate(&e->measurement, e->secs.ssa_frame_pages, e->size);
	for (r = e->regions; r < e->regions + e->nr_regions; r++) {
		secinfo.flags = r->secinfo_flags;
		for (offset = r->offset; offset < r->offset + r->size;
		     offset += SGX_PAGE_SIZE) {
			measure_eadd(&e->measurement, offset, &secinfo);
			if (r->measured)
				measure_page(&e->measurement, offset,
					     e->source + offset);
		}
	}
	measure_final(&e->measurement, e->mrenclave);
}

/* Somebody else has signed: whether rightly is for EINIT to say. */
static int read_sigstruct(struct enclave *e)
{
	const char *path = e->options.sigstruct;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, &e->sigstruct, sizeof(e->sigstruct));

	if (n < 0)
		report_errno("cannot read the SIGSTRUCT %s", path);
	if (fd >= 0)
		close(fd);
	if (n < 0)
		return -1;
	if ((size_t)n != sizeof(e->sigstruct)) {
		report_error("%s: no SIGSTRUCT of %zu bytes", path,
			     sizeof(e->sigstruct));
		errno = ENOEXEC;
		return -1;
	}
	sigstruct_mrsigner(&e->sigstruct, e->mrsigner);
	return 0;
}

int enclave_sign(struct enclave *e)
{
	measure(e);
	if (e->options.sigstruct)
		return read_sigstruct(e);
	return enclave_sign_measured(e);
}

int enclave_sign_measured(struct enclave *e)
{
	struct sgx_sigstruct *s = &e->sigstruct;

	sigstruct_init(s);
	s->miscselect = e->secs.miscselect;
	s->attributes = e->secs.attributes;
	s->xfrm = e->secs.xfrm;
	s->isv_prod_id = e->options.isv_prod_id;
	s->isv_svn = e->options.isv_svn;
	memcpy(s->mrenclave, e->mrenclave, SGX_HASH_SIZE);
	if (!sigstruct_sign(s, &sample_public_test_key)) {
		report_error("the test key cannot sign");
		errno = EINVAL;
		return -1;
	}
	sigstruct_mrsigner(s, e->mrsigner);
	return 0;
}

int enclave_init(struct enclave *e)
{
	struct sgx_enclave_init init = { .sigstruct = (uint64_t)&e->sigstruct };

	if (ioctl(e->fd, SGX_IOC_ENCLAVE_INIT, &init)) {
		report_errno("INIT failed%s", errno == EPERM ?
			     ": the SIGSTRUCT does not fit the enclave" : "");
		return -1;
	}
	return 0;
}

int enclave_map(struct enclave *e)
{
	const struct enclave_region *r;
	void *p;

	for (r = e->regions; r < e->regions + e->nr_regions; r++) {
		p = mmap((void *)(e->base + r->offset), r->size, r->prot,
			 MAP_SHARED | MAP_FIXED, e->fd, 0);
		if (p == MAP_FAILED) {
			report_errno("mapping the %s failed%s", r->name,
				     r->prot & PROT_EXEC && errno == EPERM ?
				     ": is /dev mounted noexec?" : "");
			return -1;
		}
	}
	return 0;
}

void enclave_find_threads(struct enclave *e)
{
	unsigned int i;

	for (i = 0; i < e->nr_regions; i++)
		if (e->regions[i].secinfo_flags == SGX_SECINFO_TCS)
			e->tcs[e->threads++] = e->base + e->regions[i].offset;
}

int enclave_find_vdso(void)
{
	sgx_vdso_enter = vdso_symbol("__vdso_sgx_enter_enclave");
	if (sgx_vdso_enter)
		return 0;
	report_error("the vDSO has no __vdso_sgx_enter_enclave: "
		     "is this Linux 5.11 or later, with SGX?");
	errno = ENOSYS;
	return -1;
}

int enclave_build(struct enclave *e, const char *path,
		  const struct enclave_options *options)
{
	enclave_zero(e);
	if (!sgx_cpu_detect(&e->cpu)) {
		errno = ENODEV;
		return -1;
	}
	if (enclave_find_vdso() || enclave_load(e, path, options))
		return -1;
	e->fd = enclave_open_device();
	if (e->fd < 0 || enclave_reserve(e) || enclave_create(e) ||
	    enclave_add_pages(e) || enclave_sign(e) || enclave_init(e) ||
	    enclave_map(e))
		return -1;
	enclave_find_threads(e);
	return 0;
}

void enclave_destroy(struct enclave *e)
{
	if (e->base)
		munmap((void *)e->base, e->size);
	if (e->fd >= 0)
		close(e->fd);
	if (e->source)
		munmap(e->source, e->source_size);
	enclave_zero(e);
}

int enclave_enter(struct enclave *e, unsigned int thread, uint32_t leaf,
		  struct sgx_registers *registers, struct sgx_enclave_run *run)
{
	int r;

	run->tcs = e->tcs[thread];
	run->function = 0;
	run->exception_vector = 0;
	run->exception_error_code = 0;
	run->exception_addr = 0;
	r = sgx_enter(registers, leaf, run);
	if (r) {
		report_error("__vdso_sgx_enter_enclave returned %d", r);
		return -1;
	}
	return run->function != SGX_EEXIT;
}

const char *enclave_describe(const struct sgx_enclave_run *run)
{
	static _Thread_local char text[128];
	static const char *const names[] = {
		[SGX_VECTOR_DE] = "#DE", [SGX_VECTOR_DB] = "#DB",
		[SGX_VECTOR_BP] = "#BP", [SGX_VECTOR_UD] = "#UD",
		[SGX_VECTOR_GP] = "#GP", [SGX_VECTOR_PF] = "#PF",
	};
	unsigned int vector = run->exception_vector;
	const char *name = vector < sizeof(names) / sizeof(names[0]) &&
			   names[vector] ? names[vector] : "?";

	snprintf(text, sizeof(text),
		 "vector %u (%s), error code 0x%x, address 0x%llx", vector,
		 name, run->exception_error_code,
		 (unsigned long long)run->exception_addr);
	return text;
}

int enclave_ecall(struct enclave *e, unsigned int thread, uint64_t number,
		  void *argument, uint64_t *result)
{
	struct sgx_registers registers = {
		.rdi = number, .rsi = (uint64_t)argument,
	};
	struct sgx_enclave_run run = { 0 };
	int r = enclave_enter(e, thread, SGX_EENTER, &registers, &run);

	if (r > 0)
		report_error("ECALL %llu: %s", (unsigned long long)number,
			     enclave_describe(&run));
	if (r)
		return -1;
	*result = registers.rdi;
	return 0;
}
