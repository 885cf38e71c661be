// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "support.h"

static void need(bool holds, const char *what)
{
	if (!holds)
		give_up(what);
}

static void *pages(int first, int second)
{
	uint8_t *p = mmap(NULL, 2 * PAGE, PROT_NONE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	need(p != MAP_FAILED && !mprotect(p, PAGE, first) &&
	     !mprotect(p + PAGE, PAGE, second), "no memory");
	return p;
}

void *ordinary_page(void)
{
	return pages(PROT_READ | PROT_WRITE, PROT_NONE);
}

/* There is memory before it, for what begins there and ends here. */
void *absent_page(void)
{
	return (uint8_t *)pages(PROT_READ | PROT_WRITE, PROT_NONE) + PAGE;
}

static void tiny_page(struct enclave *e, enum tiny_page page, const char *name,
		      uint64_t flags, int prot)
{
	e->regions[e->nr_regions++] = (struct enclave_region){
		.name = name, .offset = page * PAGE, .size = PAGE,
		.secinfo_flags = flags, .prot = prot, .measured = true,
	};
}

static void tiny_lay_out(struct enclave *e)
{
	struct sgx_tcs *tcs;

	tiny_page(e, TINY_RW, "data",
		  SGX_SECINFO_REG | SGX_SECINFO_R | SGX_SECINFO_W,
		  PROT_READ | PROT_WRITE);
	tiny_page(e, TINY_RX, "code",
		  SGX_SECINFO_REG | SGX_SECINFO_R | SGX_SECINFO_X,
		  PROT_READ | PROT_EXEC);
	tiny_page(e, TINY_R, "constants", SGX_SECINFO_REG | SGX_SECINFO_R,
		  PROT_READ);
	tiny_page(e, TINY_TCS, "TCS", SGX_SECINFO_TCS, PROT_READ | PROT_WRITE);

	tcs = (void *)(e->source + TINY_TCS * PAGE);
	tcs->ossa = TINY_RW * PAGE;
	tcs->nssa = 1;
	tcs->oentry = TINY_RX * PAGE;
	tcs->fslimit = 0xffffffff;
	tcs->gslimit = 0xffffffff;
}

void tiny_open(struct enclave *e)
{
	enclave_zero(e);
	need(sgx_cpu_detect(&e->cpu), "no SGX");
	e->fd = enclave_open_device();
	need(e->fd >= 0, "no device");

	e->size = TINY_PAGES * PAGE;
	e->source_size = e->size;
	e->source = mmap(NULL, e->source_size, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	need(e->source != MAP_FAILED, "no memory");
	tiny_lay_out(e);
	need(!enclave_reserve(e), "no addresses");

	e->secs.size = e->size;
	e->secs.base = e->base;
	e->secs.ssa_frame_pages = 1;
	e->secs.attributes = SGX_ATTR_MODE64BIT;
	e->secs.xfrm = SGX_XFRM_LEGACY;
}

void tiny_create(struct enclave *e)
{
	need(!enclave_create(e), "CREATE failed");
}

void tiny_add(struct enclave *e)
{
	need(!enclave_add_pages(e), "ADD_PAGES failed");
}

void tiny_sign(struct enclave *e)
{
	need(!enclave_sign(e), "signing failed");
}

void tiny_init(struct enclave *e)
{
	need(!enclave_init(e), "INIT failed");
}

static unsigned int next_thread;

void test_enclave(struct enclave *e, const struct enclave_options *options)
{
	test_enclave_with(e, options, 0);
}

static void set_tcs_flags(struct enclave *e, uint64_t tcs_flags)
{
	unsigned int i;

	for (i = 0; i < e->nr_regions; i++)
		if (e->regions[i].secinfo_flags == SGX_SECINFO_TCS)
			((struct sgx_tcs *)(e->source + e->regions[i].offset))
				->flags = tcs_flags;
}

void test_enclave_with(struct enclave *e, const struct enclave_options *options,
		       uint64_t tcs_flags)
{
	static const struct enclave_options usual = { .exinfo = true };
	const char *path = enclave_beside_program("test.enclave");

	next_thread = 1;	/* thread 0 is for calls that return */
	enclave_zero(e);
	need(sgx_cpu_detect(&e->cpu) && !enclave_find_vdso() &&
	     !enclave_load(e, path, options ? options : &usual),
	     "the test enclave cannot be loaded");
	set_tcs_flags(e, tcs_flags);
	e->fd = enclave_open_device();
	need(e->fd >= 0 && !enclave_reserve(e) && !enclave_create(e) &&
	     !enclave_add_pages(e) && !enclave_sign(e) && !enclave_init(e) &&
	     !enclave_map(e), "the test enclave cannot be built");
	enclave_find_threads(e);
}

unsigned int fresh_thread(struct enclave *e)
{
	need(next_thread < e->threads, "the test enclave has too few threads");
	return next_thread++;
}

uint64_t test_address(struct enclave *e, enum test_place place)
{
	uint64_t address = 0;

	need(test_call(e, 0, TEST_PLACE, place, 0, &address) && address,
	     "the test enclave does not know its addresses");
	return address;
}

bool test_call(struct enclave *e, unsigned int thread, enum test_ecall number,
	       uint64_t rsi, uint64_t rdx, uint64_t *result)
{
	struct sgx_registers registers = {
		.rdi = number, .rsi = rsi, .rdx = rdx,
	};
	struct sgx_enclave_run run = { 0 };
	int r = enclave_enter(e, thread, SGX_EENTER, &registers, &run);

	if (r > 0)
		printf("# ECALL %d: %s\n", number, enclave_describe(&run));
	*result = registers.rdi;
	return r == 0;
}

static void expect_run(const struct sgx_enclave_run *run, uint32_t function,
		       unsigned int vector, unsigned int error_code,
		       uint64_t address, const char *name)
{
	expect(run->function, function, "%s: function", name);
	expect(run->exception_vector, vector, "%s: vector", name);
	expect_hex(run->exception_error_code, error_code, "%s: error code",
		   name);
	expect_hex(run->exception_addr, address, "%s: address", name);
}

void expect_exception(struct enclave *e, unsigned int thread,
		      enum test_ecall number, uint64_t rsi, uint64_t rdx,
		      unsigned int vector, unsigned int error_code,
		      uint64_t address, const char *name)
{
	struct sgx_registers registers = {
		.rdi = number, .rsi = rsi, .rdx = rdx,
	};
	struct sgx_enclave_run run = { 0 };

	if (enclave_enter(e, thread, SGX_EENTER, &registers, &run) == 1)
		expect_run(&run, SGX_ERESUME, vector, error_code, address,
			   name);
	else
		expect_true(false, "%s: interrupted", name);
}

void expect_enclu_fault(uint64_t tcs, uint32_t leaf, unsigned int vector,
			const char *name)
{
	struct sgx_enclave_run run = { .tcs = tcs };
	struct sgx_registers registers = { .rdi = TEST_NOTHING };

	if (!expect(sgx_enter(&registers, leaf, &run), 0,
		    "%s: the vDSO returns", name))
		return;
	expect(run.function, leaf, "%s: function", name);
	expect(run.exception_vector, vector, "%s: vector", name);
	if (vector == SGX_VECTOR_PF)
		expect_hex(run.exception_addr, tcs, "%s: address", name);
	else
		expect_hex(run.exception_error_code, 0, "%s: error code", name);
}
