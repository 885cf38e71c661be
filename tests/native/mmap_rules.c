// SPDX-License-Identifier: Apache-2.0
/* Mapping an enclave: what mmap, mprotect and munmap allow, and what they do. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support.h"

#define R	PROT_READ
#define W	PROT_WRITE
#define X	PROT_EXEC

static const char *prot_name(int prot)
{
	static char name[8][4];
	char *p = name[prot & 7];

	p[0] = prot & R ? 'r' : '-';
	p[1] = prot & W ? 'w' : '-';
	p[2] = prot & X ? 'x' : '-';
	return p;
}

static void *page_at(const struct enclave *e, uint64_t page)
{
	return (void *)(e->base + page * PAGE);
}

/* mmap of pages of a tiny enclave, by their number. */
static void expect_map(struct enclave *e, int64_t page, uint64_t pages,
		       int prot, int wanted, const char *name)
{
	void *p = mmap(page_at(e, page), pages * PAGE, prot,
		       MAP_SHARED | MAP_FIXED, e->fd, 0);

	expect_errno(p == MAP_FAILED ? -1 : 0, wanted, "mmap %s: %s",
		     prot_name(prot), name);
}

static void expect_protect(struct enclave *e, uint64_t page, uint64_t pages,
			   int prot, int wanted, const char *name)
{
	expect_errno(mprotect(page_at(e, page), pages * PAGE, prot), wanted,
		     "mprotect %s: %s", prot_name(prot), name);
}

static void tiny_ready(struct enclave *e)
{
	tiny_open(e);
	tiny_create(e);
	tiny_add(e);
	tiny_sign(e);
	tiny_init(e);
}

static void test_private(void)
{
	struct enclave e;
	void *p;

	tiny_open(&e);
	p = mmap(NULL, PAGE, R, MAP_PRIVATE, e.fd, 0);
	expect_errno(p == MAP_FAILED ? -1 : 0, EINVAL,
		     "mmap: MAP_PRIVATE, before CREATE");
	tiny_create(&e);
	tiny_add(&e);
	p = mmap(page_at(&e, 0), PAGE, R, MAP_PRIVATE | MAP_FIXED, e.fd, 0);
	expect_errno(p == MAP_FAILED ? -1 : 0, EINVAL,
		     "mmap: MAP_PRIVATE | MAP_FIXED");
	p = mmap(page_at(&e, 0), PAGE, PROT_NONE, MAP_PRIVATE | MAP_FIXED, e.fd,
		 0);
	expect_errno(p == MAP_FAILED ? -1 : 0, EINVAL,
		     "mmap: MAP_PRIVATE, no protection at all");
	p = mmap(page_at(&e, 0), PAGE, R, MAP_SHARED_VALIDATE | MAP_FIXED, e.fd,
		 0);
	expect_errno(p == MAP_FAILED ? -1 : 0, 0, "mmap: MAP_SHARED_VALIDATE");
	p = mmap(page_at(&e, 0), 0, R, MAP_SHARED | MAP_FIXED, e.fd, 0);
	expect_errno(p == MAP_FAILED ? -1 : 0, EINVAL, "mmap: length zero");
	p = mmap(page_at(&e, 0), PAGE, R, MAP_SHARED | MAP_FIXED, e.fd, 1);
	expect_errno(p == MAP_FAILED ? -1 : 0, EINVAL,
		     "mmap: offset not aligned");
	enclave_destroy(&e);
}

static void test_before_create(void)
{
	struct enclave e;
	void *p;

	tiny_open(&e);
	p = mmap(NULL, PAGE, R, MAP_SHARED, e.fd, 0);
	expect_errno(p == MAP_FAILED ? -1 : 0, 0,
		     "mmap r--: before CREATE, anywhere");
	p = mmap(NULL, PAGE, R | W | X, MAP_SHARED, e.fd, 0);
	expect_errno(p == MAP_FAILED ? -1 : 0, 0,
		     "mmap rwx: before CREATE, anywhere");
	expect_map(&e, 0, TINY_PAGES, R | W | X, 0, "before CREATE, ELRANGE");
	tiny_create(&e);
	expect_true(true, "CREATE over a mapping");
	tiny_add(&e);
	expect_true(true, "ADD_PAGES under a mapping");
	tiny_sign(&e);
	tiny_init(&e);
	expect_true(true, "INIT under a mapping");
	enclave_destroy(&e);
}

static void test_maximum(bool initialised)
{
	static const struct {
		enum tiny_page page;
		int maximum;
		const char *name;
	} pages[] = {
		{ TINY_RW, R | W, "a page of rw-" },
		{ TINY_RX, R | X, "a page of r-x" },
		{ TINY_R, R, "a page of r--" },
		{ TINY_TCS, R | W, "a TCS" },
		{ TINY_FREE, R | W | X, "an absent page" },
	};
	struct enclave e;
	unsigned int i;
	int prot;

	if (initialised) {
		tiny_ready(&e);
	} else {
		tiny_open(&e);
		tiny_create(&e);
		tiny_add(&e);
	}
	for (i = 0; i < sizeof(pages) / sizeof(pages[0]); i++)
		for (prot = 0; prot < 8; prot++)
			expect_map(&e, pages[i].page, 1, prot,
				   prot & ~pages[i].maximum ? EACCES : 0,
				   pages[i].name);
	for (i = 0; i < sizeof(pages) / sizeof(pages[0]); i++) {
		expect_map(&e, pages[i].page, 1, PROT_NONE, 0, pages[i].name);
		for (prot = 0; prot < 8; prot++)
			expect_protect(&e, pages[i].page, 1, prot,
				       prot & ~pages[i].maximum ? EACCES : 0,
				       pages[i].name);
	}
	enclave_destroy(&e);
}

/* The weakest page of a range decides. */
static void test_ranges(void)
{
	struct enclave e;

	tiny_ready(&e);
	expect_map(&e, TINY_RW, 3, R, 0, "pages of rw-, r-x and r--");
	expect_map(&e, TINY_RW, 3, R | W, EACCES, "pages of rw-, r-x and r--");
	expect_map(&e, TINY_RW, 3, R | X, EACCES, "pages of rw-, r-x and r--");
	expect_map(&e, TINY_RW, 2, R | W, EACCES, "pages of rw- and r-x");
	expect_map(&e, TINY_RX, 2, R | X, EACCES, "pages of r-x and r--");
	expect_map(&e, TINY_TCS, 4, R | W, 0, "a TCS and absent pages");
	expect_map(&e, TINY_FREE, 8, R | W | X, 0, "absent pages");
	expect_map(&e, 0, TINY_PAGES, R, 0, "all of ELRANGE");
	expect_map(&e, 0, TINY_PAGES, R | W, EACCES, "all of ELRANGE");
	expect_map(&e, 0, TINY_PAGES, PROT_NONE, 0, "all of ELRANGE");
	expect_protect(&e, 0, TINY_PAGES, R, 0, "all of ELRANGE");
	expect_protect(&e, 0, 2, R | W, EACCES, "pages of rw- and r-x");
	expect_protect(&e, 0, 1, R | W, 0, "the page of rw- alone");
	expect_protect(&e, 1, 1, R | X, 0, "the page of r-x alone");
	enclave_destroy(&e);
}

static void test_outside(void)
{
	struct enclave e;
	void *p;

	tiny_open(&e);
	tiny_create(&e);
	tiny_add(&e);
	p = mmap(NULL, PAGE, R, MAP_SHARED, e.fd, 0);
	expect_errno(p == MAP_FAILED ? -1 : 0, 0,
		     "mmap r--: before INIT, anywhere");
	tiny_sign(&e);
	tiny_init(&e);
	p = mmap(NULL, PAGE, R, MAP_SHARED, e.fd, 0);
	expect_errno(p == MAP_FAILED ? -1 : 0, EACCES,
		     "mmap r--: after INIT, anywhere");
	p = mmap(NULL, PAGE, PROT_NONE, MAP_SHARED, e.fd, 0);
	expect_errno(p == MAP_FAILED ? -1 : 0, EACCES,
		     "mmap ---: after INIT, anywhere");
	expect_map(&e, 0, TINY_PAGES, R, 0, "exactly ELRANGE");
	expect_map(&e, TINY_PAGES - 1, 1, R, 0, "its last page");
	enclave_destroy(&e);
}

/* Beside ELRANGE lies what somebody else may have mapped: reserve it first. */
static void test_beside(void)
{
	struct enclave e;
	uint8_t *area;

	tiny_open(&e);
	munmap((void *)e.base, e.size);
	area = mmap(NULL, 4 * e.size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS,
		    -1, 0);
	if (area == MAP_FAILED)
		give_up("no addresses");
	e.base = ((uint64_t)area + 2 * e.size - 1) & ~(e.size - 1);
	tiny_create(&e);
	tiny_add(&e);
	tiny_sign(&e);
	tiny_init(&e);
	expect_map(&e, -1, 1, R, EACCES, "the page below ELRANGE");
	expect_map(&e, -1, 2, R, EACCES, "across the beginning of ELRANGE");
	expect_map(&e, TINY_PAGES, 1, R, EACCES, "the page above ELRANGE");
	expect_map(&e, TINY_PAGES - 1, 2, R, EACCES,
		   "across the end of ELRANGE");
	expect_map(&e, -1, TINY_PAGES + 2, PROT_NONE, EACCES,
		   "ELRANGE and a page on each side");
	enclave_destroy(&e);
	munmap(area, 4 * e.size);
}

static void test_hint(void)
{
	struct enclave e;
	void *p;

	tiny_ready(&e);
	munmap((void *)e.base, e.size);
	p = mmap(page_at(&e, 2), PAGE, R, MAP_SHARED, e.fd, 0);
	expect_errno(p == MAP_FAILED ? -1 : 0, 0, "mmap r--: a hint, no MAP_FIXED");
	expect_hex((uint64_t)p, (uint64_t)page_at(&e, 2), "the hint is taken");
	p = mmap(page_at(&e, 2), PAGE, R, MAP_SHARED | MAP_FIXED_NOREPLACE, e.fd,
		 0);
	expect_errno(p == MAP_FAILED ? -1 : 0, EEXIST,
		     "mmap r--: MAP_FIXED_NOREPLACE over a mapping");
	enclave_destroy(&e);
}

static void test_read_only_descriptor(void)
{
	struct enclave e;

	tiny_open(&e);
	close(e.fd);
	e.fd = open("/dev/sgx_enclave", O_RDONLY);
	tiny_create(&e);
	tiny_add(&e);
	expect_true(true, "CREATE and ADD_PAGES by an O_RDONLY descriptor");
	expect_map(&e, TINY_RW, 1, R, 0, "by an O_RDONLY descriptor");
	expect_map(&e, TINY_RW, 1, R | W, EACCES, "by an O_RDONLY descriptor");
	enclave_destroy(&e);
}

/* Such a task's mappings would all become executable. */
static void test_read_implies_exec(void)
{
	int old = personality(0xffffffff);
	struct enclave e;

	tiny_ready(&e);
	expect_map(&e, TINY_R, 1, R, 0, "ordinary personality");
	if (personality(old | READ_IMPLIES_EXEC) < 0)
		give_up("no such personality");
	/* mprotect first: a refused MAP_FIXED may have unmapped what was there. */
	expect_protect(&e, TINY_R, 1, R, EACCES, "READ_IMPLIES_EXEC");
	expect_protect(&e, TINY_R, 1, PROT_NONE, EACCES, "READ_IMPLIES_EXEC");
	expect_map(&e, TINY_R, 1, R, EACCES, "READ_IMPLIES_EXEC");
	expect_map(&e, TINY_RX, 1, R | X, EACCES, "READ_IMPLIES_EXEC, a page of r-x");
	personality(old);
	expect_map(&e, TINY_R, 1, R, 0, "ordinary personality again");
	enclave_destroy(&e);
}

/*
 * With an enclave that runs: what the mappings do.
 */

static uint64_t read_page(struct enclave *e, uint64_t address)
{
	uint64_t value = 0;

	test_call(e, 0, TEST_READ, address, 0, &value);
	return value;
}

static void write_page(struct enclave *e, uint64_t address, uint64_t value)
{
	uint64_t result = 0;

	expect_true(test_call(e, 0, TEST_WRITE, address, value, &result) &&
		    result == TEST_MAGIC, "a write to a mapped page");
}

/* Unmapping a page takes it from the page tables, not from the enclave. */
static void test_unmap(void)
{
	struct enclave e;
	uint64_t arena;

	test_enclave(&e, NULL);
	arena = test_address(&e, PLACE_ARENA);
	write_page(&e, arena, 1111);
	write_page(&e, arena + PAGE, 2222);
	expect_errno(munmap((void *)arena, PAGE), 0, "munmap one page of two");
	expect_hex(read_page(&e, arena + PAGE), 2222, "its neighbour is there");
	expect_exception(&e, fresh_thread(&e), TEST_READ, arena, 0,
			 SGX_VECTOR_PF, SGX_PF_USER, arena, "read of an unmapped page");
	expect_exception(&e, fresh_thread(&e), TEST_WRITE, arena, 0,
			 SGX_VECTOR_PF, SGX_PF_USER | SGX_PF_WRITE, arena,
			 "write to an unmapped page");
	expect_errno(mmap((void *)arena, PAGE, R | W, MAP_SHARED | MAP_FIXED,
			  e.fd, 0) == MAP_FAILED ? -1 : 0, 0,
		     "mmap of it again");
	expect_hex(read_page(&e, arena), 1111, "its contents have stayed");
	enclave_destroy(&e);
}

static void test_offset(void)
{
	struct enclave e;
	uint64_t arena;
	void *p;

	test_enclave(&e, NULL);
	arena = test_address(&e, PLACE_ARENA);
	write_page(&e, arena, 1111);
	write_page(&e, arena + PAGE, 2222);
	p = mmap((void *)arena, PAGE, R | W, MAP_SHARED | MAP_FIXED, e.fd,
		 arena + PAGE - e.base);
	expect_errno(p == MAP_FAILED ? -1 : 0, 0, "mmap with another offset");
	expect_hex(read_page(&e, arena), 1111, "the address decides");
	p = mmap((void *)arena, PAGE, R | W, MAP_SHARED | MAP_FIXED, e.fd,
		 1ull << 40);
	expect_errno(p == MAP_FAILED ? -1 : 0, 0, "mmap with a huge offset");
	expect_hex(read_page(&e, arena), 1111, "and decides again");
	enclave_destroy(&e);
}

static void test_protection(void)
{
	struct enclave e;
	uint64_t arena;

	test_enclave(&e, NULL);
	arena = test_address(&e, PLACE_ARENA);
	write_page(&e, arena, 1111);
	expect_errno(mprotect((void *)arena, PAGE, R), 0, "mprotect to r--");
	expect_hex(read_page(&e, arena), 1111, "a read still works");
	expect_exception(&e, fresh_thread(&e), TEST_WRITE, arena, 1,
			 SGX_VECTOR_PF, SGX_PF_PRESENT | SGX_PF_WRITE |
			 SGX_PF_USER, arena, "write to a page made r--");
	expect_errno(mprotect((void *)arena, PAGE, R | W | X), EACCES,
		     "mprotect to rwx");
	expect_exception(&e, fresh_thread(&e), TEST_WRITE, arena, 1,
			 SGX_VECTOR_PF, SGX_PF_PRESENT | SGX_PF_WRITE |
			 SGX_PF_USER, arena, "a refused mprotect changes nothing");
	expect_errno(mprotect((void *)arena, PAGE, R | W), 0, "mprotect to rw-");
	write_page(&e, arena, 2222);
	expect_hex(read_page(&e, arena), 2222, "and the write took place");

	expect_errno(mprotect((void *)arena, PAGE, PROT_NONE), 0,
		     "mprotect to ---");
	expect_exception(&e, fresh_thread(&e), TEST_READ, arena, 0,
			 SGX_VECTOR_PF, SGX_PF_USER, arena,
			 "read of a page made ---");
	expect_errno(mprotect((void *)arena, PAGE, R | W), 0, "mprotect back");
	expect_hex(read_page(&e, arena), 2222, "nothing is lost");
	enclave_destroy(&e);
}

/* Mapped rwx before there was a page, whose maximum turns out lower: SIGBUS. */
static void test_mapped_too_wide(void)
{
	static const struct enclave_options options = { .exinfo = true };
	struct sgx_enclave_run run = { 0 };
	struct sgx_registers registers = { 0 };
	struct enclave e;

	enclave_zero(&e);
	if (!sgx_cpu_detect(&e.cpu) || enclave_find_vdso() ||
	    enclave_load(&e, enclave_beside_program("test.enclave"), &options) ||
	    (e.fd = enclave_open_device()) < 0 || enclave_reserve(&e))
		give_up("the test enclave cannot be loaded");
	expect_errno(mmap((void *)e.base, e.size, R | W | X,
			  MAP_SHARED | MAP_FIXED, e.fd, 0) == MAP_FAILED ? -1 : 0,
		     0, "mmap rwx: all of ELRANGE, before CREATE");
	if (enclave_create(&e) || enclave_add_pages(&e) || enclave_sign(&e) ||
	    enclave_init(&e))
		give_up("the test enclave cannot be built");
	run.tcs = e.base + e.config.threads_offset + e.config.thread_size - PAGE;
	registers.rdi = TEST_NOTHING;
	expect(sgx_enter(&registers, SGX_EENTER, &run), 0,
	       "an entry through a mapping wider than the pages");
	expect(run.function, SGX_EENTER, "does not get in");
	expect(run.exception_vector, SGX_VECTOR_PF, "but faults");
	registers.rdi = TEST_NOTHING;
	if (enclave_map(&e))
		give_up("the test enclave cannot be mapped");
	expect(sgx_enter(&registers, SGX_EENTER, &run), 0,
	       "an entry through proper mappings");
	expect(run.function, SGX_EEXIT, "gets in and out");
	expect_hex(registers.rdi, TEST_MAGIC, "and back with the result");
	enclave_destroy(&e);
}

/* The mappings keep the enclave alive, not the descriptor. */
static void test_close(void)
{
	struct enclave e;
	uint64_t result = 0;

	test_enclave(&e, NULL);
	expect_true(test_call(&e, 0, TEST_INCREMENT, 0, 0, &result), "ECALL");
	close(e.fd);
	e.fd = -1;
	expect_true(test_call(&e, 0, TEST_INCREMENT, 0, 0, &result),
		    "ECALL after close");
	expect(result, 2, "the enclave is the same one");
	enclave_destroy(&e);
}

/* A child has the same enclave, not a copy of it. */
static void test_fork(void)
{
	struct enclave e;
	uint64_t result = 0;
	int status = -1;
	pid_t child;

	test_enclave(&e, NULL);
	test_call(&e, 0, TEST_INCREMENT, 0, 0, &result);
	fflush(stdout);
	child = fork();
	if (child == 0) {
		bool entered = test_call(&e, 1, TEST_INCREMENT, 0, 0, &result);

		_exit(entered && result == 2 ? 0 : 1);
	}
	waitpid(child, &status, 0);
	expect_hex(status, 0, "a child enters the enclave and counts to two");
	expect_true(test_call(&e, 0, TEST_INCREMENT, 0, 0, &result),
		    "the parent enters it afterwards");
	expect(result, 3, "and counts to three");
	enclave_destroy(&e);
}

/* Gone with its last mapping; the next one at the same place is another. */
static void test_rebuild(void)
{
	struct enclave e;
	uint64_t result = 0;
	int i;

	for (i = 0; i < 3; i++) {
		test_enclave(&e, NULL);
		test_call(&e, 0, TEST_INCREMENT, 0, 0, &result);
		expect(result, 1, "enclave %d counts from the beginning", i);
		enclave_destroy(&e);
	}
}

int main(void)
{
	test_private();
	test_before_create();
	test_maximum(false);
	test_maximum(true);
	test_ranges();
	test_outside();
	test_beside();
	test_hint();
	test_read_only_descriptor();
	test_read_implies_exec();
	test_unmap();
	test_offset();
	test_protection();
	test_mapped_too_wide();
	test_close();
	test_fork();
	test_rebuild();
	return done();
}
