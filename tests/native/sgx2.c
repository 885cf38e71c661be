// SPDX-License-Identifier: Apache-2.0
/*
 * SGX2: pages that come and go and change while the enclave runs. Each step as
 * the program, the enclave, another thread and another process see it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#include "raw.h"
#include "support.h"

#define R  SGX_SECINFO_R
#define RW (SGX_SECINFO_R | SGX_SECINFO_W)
#define RX (SGX_SECINFO_R | SGX_SECINFO_X)
#define RWX (RW | SGX_SECINFO_X)
#define FREE_PAGES 64
#define LAST_THREAD 47		/* for what returns */

static struct enclave e;
static uint64_t arena;
static uint64_t next_free;		/* in ELRANGE, behind all that was added */

/* A page of the enclave that nobody has used, mapped so. */
static uint64_t fresh_page(int prot)
{
	uint64_t page = next_free;

	next_free += PAGE;
	if (mmap((void *)page, PAGE, prot, MAP_SHARED | MAP_FIXED, e.fd, 0) ==
	    MAP_FAILED)
		give_up("mmap of a free page failed");
	return page;
}

/* ENCLU inside with a SECINFO of these flags in RBX: RAX, and whether ZF. */
static uint64_t enclu_secinfo(unsigned int thread, uint64_t leaf,
			      uint64_t flags, uint64_t page, uint64_t source,
			      bool *zf)
{
	struct sgx_registers registers = {
		.rdi = TEST_ENCLU, .rsi = leaf, .rdx = arena, .r8 = page,
		.r9 = source,
	};
	struct sgx_enclave_run run = { 0 };
	uint64_t result = 0;

	test_call(&e, thread, TEST_WRITE, arena, flags, &result);
	if (enclave_enter(&e, thread, SGX_EENTER, &registers, &run)) {
		printf("# ENCLU leaf %d: %s\n", (int)leaf,
		       enclave_describe(&run));
		return ~0ull;
	}
	if (zf)
		*zf = registers.rdx >> 6 & 1;
	return registers.rdi;
}

static uint64_t eaccept(uint64_t page, uint64_t flags)
{
	return enclu_secinfo(0, SGX_EACCEPT, flags, page, 0, NULL);
}

static bool write_word(uint64_t address, uint64_t value)
{
	uint64_t result;

	return test_call(&e, 0, TEST_WRITE, address, value, &result) &&
	       result == TEST_MAGIC;
}

static void write_words(uint64_t address, const void *words, unsigned int n)
{
	uint64_t word;
	unsigned int i;

	for (i = 0; i < n; i++) {
		memcpy(&word, (const uint8_t *)words + 8 * i, 8);
		write_word(address + 8 * i, word);
	}
}

static void expect_word(uint64_t address, uint64_t value, const char *name)
{
	uint64_t got = ~value;

	test_call(&e, 0, TEST_READ, address, 0, &got);
	expect_hex(got, value, "%s", name);
}

/* Restrict, change or remove one page: errno, and what the ioctl counts. */
static struct {
	uint64_t result, count;
} told;

static int restrict_to(int fd, uint64_t page, uint64_t length, uint64_t flags)
{
	struct sgx_enclave_restrict_permissions arguments = {
		.offset = page - e.base, .length = length, .permissions = flags,
	};
	int r = ioctl(fd, SGX_IOC_ENCLAVE_RESTRICT_PERMISSIONS, &arguments);

	told.result = arguments.result;
	told.count = arguments.count;
	return r ? errno : 0;
}

static int change_type(int fd, uint64_t page, uint64_t length, uint64_t type)
{
	struct sgx_enclave_modify_types arguments = {
		.offset = page - e.base, .length = length, .page_type = type,
	};
	int r = ioctl(fd, SGX_IOC_ENCLAVE_MODIFY_TYPES, &arguments);

	told.result = arguments.result;
	told.count = arguments.count;
	return r ? errno : 0;
}

static int remove_pages(int fd, uint64_t page, uint64_t length)
{
	struct sgx_enclave_remove_pages arguments = {
		.offset = page - e.base, .length = length,
	};
	int r = ioctl(fd, SGX_IOC_ENCLAVE_REMOVE_PAGES, &arguments);

	told.result = 0;
	told.count = arguments.count;
	return r ? errno : 0;
}

#define TYPE_TCS 1
#define TYPE_REG 2
#define TYPE_TRIM 4

/* What runtimes ask to find out what there is. */
static void test_probes(void)
{
	struct enclave fresh;
	uint64_t expected;

	enclave_zero(&fresh);
	fresh.fd = enclave_open_device();
	sgx_cpu_detect(&fresh.cpu);
	expected = fresh.cpu.sgx2 ? EINVAL : ENODEV;
	expect(restrict_to(fresh.fd, e.base, PAGE, R), expected,
	       "RESTRICT_PERMISSIONS before CREATE");
	expect(change_type(fresh.fd, e.base, PAGE, TYPE_TRIM), expected,
	       "MODIFY_TYPES before CREATE");
	expect(remove_pages(fresh.fd, e.base, PAGE), expected,
	       "REMOVE_PAGES before CREATE");
	enclave_destroy(&fresh);
}

static void test_arguments(void)
{
	uint64_t page = fresh_page(PROT_READ | PROT_WRITE);

	expect(remove_pages(e.fd, page, 0), EINVAL, "REMOVE_PAGES of nothing");
	expect(remove_pages(e.fd, page + 1, PAGE), EINVAL,
	       "REMOVE_PAGES of no page's address");
	expect(remove_pages(e.fd, page, 100), EINVAL,
	       "REMOVE_PAGES of half a page");
	expect(remove_pages(e.fd, e.base + e.size, PAGE), EINVAL,
	       "REMOVE_PAGES behind ELRANGE");
	expect(remove_pages(e.fd, page, PAGE), EFAULT,
	       "REMOVE_PAGES of an absent page");
	expect(told.count, 0, "REMOVE_PAGES of an absent page: count");
	expect(remove_pages(e.fd, arena, PAGE), EPERM,
	       "REMOVE_PAGES of a REG page");
	expect(restrict_to(e.fd, page, PAGE, R), EFAULT,
	       "RESTRICT_PERMISSIONS of an absent page");
	expect(restrict_to(e.fd, arena, 0, R), EINVAL,
	       "RESTRICT_PERMISSIONS of nothing");
	expect(restrict_to(e.fd, arena, PAGE, SGX_SECINFO_W), EINVAL,
	       "RESTRICT_PERMISSIONS to W without R");
	expect(restrict_to(e.fd, arena, PAGE, 8), EINVAL,
	       "RESTRICT_PERMISSIONS to what is none");
	expect(restrict_to(e.fd, e.tcs[20], PAGE, R), EINVAL,
	       "RESTRICT_PERMISSIONS of a TCS");
	expect(change_type(e.fd, arena, PAGE, TYPE_REG), EINVAL,
	       "MODIFY_TYPES to REG");
	expect(change_type(e.fd, arena, PAGE, 0), EINVAL,
	       "MODIFY_TYPES to SECS");
	expect(change_type(e.fd, arena, PAGE, 99), EINVAL,
	       "MODIFY_TYPES to what is none");
	expect(change_type(e.fd, page, PAGE, TYPE_TRIM), EFAULT,
	       "MODIFY_TYPES of an absent page");
	expect(change_type(e.fd, test_address(&e, PLACE_CODE) & -PAGE, PAGE,
			   TYPE_TCS), EPERM, "MODIFY_TYPES of code to TCS");
}

/* A touch makes the page; it is there for nobody until the enclave accepts. */
static void test_augment(void)
{
	uint64_t page = fresh_page(PROT_READ | PROT_WRITE), other;
	uint64_t read_only = fresh_page(PROT_READ);
	uint64_t none = fresh_page(PROT_NONE);
	unsigned int thread = fresh_thread(&e);
	bool zf = false;

	expect_exception(&e, thread, TEST_WRITE, page + 8, 5, SGX_VECTOR_PF,
			 SGX_PF_SGX | 7, page, "EAUG by a write");
	expect_exception(&e, fresh_thread(&e), TEST_READ, page + 16, 0,
			 SGX_VECTOR_PF, SGX_PF_SGX | 5, page,
			 "read of a pending page");
	expect_exception(&e, fresh_thread(&e), TEST_WRITE, read_only, 5,
			 SGX_VECTOR_PF, 6, read_only,
			 "no EAUG by a write that the mapping forbids");
	expect_exception(&e, fresh_thread(&e), TEST_READ, read_only, 0,
			 SGX_VECTOR_PF, SGX_PF_SGX | 5, read_only,
			 "EAUG by a read that it allows");
	expect_exception(&e, fresh_thread(&e), TEST_WRITE, read_only, 5,
			 SGX_VECTOR_PF, 7, read_only,
			 "then a write is the mapping's to forbid");
	expect_exception(&e, fresh_thread(&e), TEST_READ, none, 5,
			 SGX_VECTOR_PF, SGX_PF_USER, none,
			 "no EAUG where nothing is allowed");
	expect(enclu_secinfo(0, SGX_EACCEPT,
			     SGX_SECINFO_REG | R | SGX_SECINFO_PENDING, page, 0,
			     &zf),
	       SGX_PAGE_ATTRIBUTES_MISMATCH, "EACCEPT of a page that is not so");
	expect_true(zf, "EACCEPT of a page that is not so: ZF");
	expect(enclu_secinfo(0, SGX_EACCEPT,
			     SGX_SECINFO_REG | RW | SGX_SECINFO_PENDING, page,
			     0, &zf), SGX_SUCCESS, "EACCEPT");
	expect_true(!zf, "EACCEPT: no ZF");
	expect(eaccept(page, SGX_SECINFO_REG | RW | SGX_SECINFO_PENDING),
	       SGX_PAGE_ATTRIBUTES_MISMATCH, "EACCEPT a second time");
	expect_word(page + 8, 0, "an accepted page is zero");
	expect_true(write_word(page + 8, 4711), "and can be written");
	expect_word(page + 8, 4711, "and keeps it");

	other = fresh_page(PROT_READ | PROT_WRITE);
	expect(eaccept(other, SGX_SECINFO_REG | RW | SGX_SECINFO_PENDING),
	       SGX_SUCCESS, "EACCEPT of an absent page makes it");
	other = fresh_page(PROT_READ | PROT_WRITE);
	expect_exception(&e, fresh_thread(&e), TEST_READ, other, 0,
			 SGX_VECTOR_PF, SGX_PF_SGX | 5, other, "EAUG by a read");
	expect(enclu_secinfo(0, SGX_EACCEPTCOPY, SGX_SECINFO_REG | RW, other,
			     page, &zf), SGX_SUCCESS, "EACCEPTCOPY");
	expect_word(other + 8, 4711, "EACCEPTCOPY copies");
}

/* The interrupted thread goes on once another has accepted the page. */
static void test_goes_on(void)
{
	uint64_t page = fresh_page(PROT_READ | PROT_WRITE);
	unsigned int thread = fresh_thread(&e);
	struct sgx_registers registers = {
		.rdi = TEST_WRITE, .rsi = page, .rdx = 99,
	};
	struct sgx_enclave_run run = { 0 };

	expect(enclave_enter(&e, thread, SGX_EENTER, &registers, &run), 1,
	       "a write to come: interrupted");
	expect(eaccept(page, SGX_SECINFO_REG | RW | SGX_SECINFO_PENDING), 0,
	       "a write to come: accepted by another thread");
	expect(enclave_enter(&e, thread, SGX_ERESUME, &registers, &run), 0,
	       "a write to come: resumed");
	expect_word(page, 99, "a write to come: it took place");
}

/* The same without the vDSO: a signal with the page's address. */
static sigjmp_buf out;

static volatile struct {
	int number, code;
	uint64_t address;
	const char *flaw;
} caught;

static void on_signal(int number, siginfo_t *info, void *context)
{
	caught.number = number;
	caught.code = info->si_code;
	caught.address = (uint64_t)info->si_addr;
	caught.flaw = raw_flaw(context, e.tcs[LAST_THREAD], e.secs.xfrm);
	if (eaccept(caught.address, SGX_SECINFO_REG | RW | SGX_SECINFO_PENDING))
		siglongjmp(out, 1);
}

static void test_raw(void)
{
	uint64_t page = fresh_page(PROT_READ | PROT_WRITE);
	struct sigaction action = {
		.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO,
	};

	sigaction(SIGSEGV, &action, NULL);
	if (!sigsetjmp(out, 1))
		expect_hex(raw_enclu(SGX_EENTER, e.tcs[LAST_THREAD], raw_aep, TEST_WRITE,
				     page + 24, 1234), TEST_MAGIC,
			   "by signal: the write");
	else
		expect_true(false, "by signal: accepted");
	signal(SIGSEGV, SIG_DFL);
	expect(caught.number, SIGSEGV, "by signal: SIGSEGV");
	expect(caught.code, SEGV_ACCERR, "by signal: si_code");
	expect_hex(caught.address, page, "by signal: si_addr");
	if (caught.flaw)
		printf("# %s is not as it should be\n", caught.flaw);
	expect_true(!caught.flaw, "by signal: the state of an exit");
	expect_word(page + 24, 1234, "by signal: it took place");
}

static uint64_t accepted_page(int prot)
{
	uint64_t page = fresh_page(prot);

	if (eaccept(page, SGX_SECINFO_REG | RW | SGX_SECINFO_PENDING))
		give_up("EACCEPT of a new page failed");
	return page;
}

/* Rights: the kernel takes, the enclave gives, the mapping stays. */
static void *write_in_thread(void *page)
{
	uint64_t result = 0;

	return test_call(&e, LAST_THREAD, TEST_WRITE, (uint64_t)page, 2, &result) &&
	       result == TEST_MAGIC ? page : NULL;
}

static int in_child(uint64_t page, bool wants_fault)
{
	struct sgx_registers registers = {
		.rdi = TEST_WRITE, .rsi = page, .rdx = 3,
	};
	struct sgx_enclave_run run = { 0 };
	int status;
	pid_t child = fork();

	if (!child) {
		int r = enclave_enter(&e, fresh_thread(&e), SGX_EENTER,
				      &registers, &run);

		_exit(wants_fault ? r != 1 || run.exception_vector != 14 ||
				    run.exception_error_code != (SGX_PF_SGX | 7)
				  : r != 0);
	}
	fresh_thread(&e);
	waitpid(child, &status, 0);
	return status;
}

static void test_permissions(void)
{
	uint64_t page = accepted_page(PROT_READ | PROT_WRITE | PROT_EXEC);
	uint64_t result = 0;
	pthread_t thread;
	void *written;

	/* mov $0x42, %eax; ret */
	expect_true(write_word(page, 0xc300000042b8), "code to a RW page");
	expect_exception(&e, fresh_thread(&e), TEST_JUMP, page, 0,
			 SGX_VECTOR_PF, SGX_PF_SGX | SGX_PF_INSTRUCTION | 5,
			 page, "a RW page does not execute");
	expect(enclu_secinfo(0, SGX_EMODPE, SGX_SECINFO_REG | RWX, page, 0,
			     NULL), SGX_EMODPE, "EMODPE to RWX");
	test_call(&e, 0, TEST_CALL, page, 0, &result);
	expect(result, 0x42, "then it executes, by the same mapping");

	expect(restrict_to(e.fd, page, PAGE, R), 0, "RESTRICT_PERMISSIONS to R");
	expect(told.count, PAGE, "RESTRICT_PERMISSIONS to R: count");
	expect(told.result, 0, "RESTRICT_PERMISSIONS to R: result");
	expect_exception(&e, fresh_thread(&e), TEST_WRITE, page, 1,
			 SGX_VECTOR_PF, SGX_PF_SGX | 7, page, "then no write");
	expect(in_child(page, true), 0, "nor in a child");
	expect(eaccept(page, SGX_SECINFO_REG | R | SGX_SECINFO_PR), 0,
	       "EACCEPT of it");
	expect_word(page, 0xc300000042b8, "it can still be read");
	expect(enclu_secinfo(0, SGX_EMODPE, SGX_SECINFO_REG | RW, page, 0,
			     NULL), SGX_EMODPE, "EMODPE to RW");
	expect(in_child(page, false), 0, "then a child writes");
	expect_word(page, 3, "and all see it");
	pthread_create(&thread, NULL, write_in_thread, (void *)page);
	pthread_join(thread, &written);
	expect_true(written != NULL, "and another thread");
	expect_word(page, 2, "and all see that");
}

/* REG to TRIM to nothing, and anew. */
static void test_remove(void)
{
	uint64_t page = accepted_page(PROT_READ | PROT_WRITE);
	uint64_t second = accepted_page(PROT_READ | PROT_WRITE);

	write_word(page, 77);
	expect(change_type(e.fd, page, 2 * PAGE, TYPE_TRIM), 0,
	       "MODIFY_TYPES of two pages to TRIM");
	expect(told.count, 2 * PAGE, "MODIFY_TYPES of two pages: count");
	expect(change_type(e.fd, page, PAGE, TYPE_TRIM), EINVAL,
	       "MODIFY_TYPES of a TRIM page");
	expect(remove_pages(e.fd, page, 2 * PAGE), EPERM,
	       "REMOVE_PAGES before EACCEPT");
	expect(told.count, 0, "REMOVE_PAGES before EACCEPT: count");
	expect_exception(&e, fresh_thread(&e), TEST_READ, page, 0,
			 SGX_VECTOR_PF, SGX_PF_SGX | 5, page,
			 "read of a TRIM page");
	expect(eaccept(page, SGX_SECINFO_TRIM | SGX_SECINFO_MODIFIED), 0,
	       "EACCEPT of TRIM");
	expect(remove_pages(e.fd, page, 2 * PAGE), EPERM,
	       "REMOVE_PAGES of one accepted, one not");
	expect(told.count, PAGE, "REMOVE_PAGES of one accepted: count");
	expect(eaccept(second, SGX_SECINFO_TRIM | SGX_SECINFO_MODIFIED), 0,
	       "EACCEPT of the other");
	expect(remove_pages(e.fd, second, PAGE), 0, "REMOVE_PAGES of it");
	expect(told.count, PAGE, "REMOVE_PAGES of it: count");
	expect_exception(&e, fresh_thread(&e), TEST_WRITE, page, 1,
			 SGX_VECTOR_PF, SGX_PF_SGX | 7, page,
			 "a touch makes it anew");
	expect(eaccept(page, SGX_SECINFO_REG | RW | SGX_SECINFO_PENDING), 0,
	       "EACCEPT of the new one");
	expect_word(page, 0, "which is zero");
}

/* A thread made at run time: its stack, data and SSA too. */
static void test_new_thread(void)
{
	uint64_t pages = next_free, own, ssa, tcs_page, result = 0;
	struct enclave_thread thread = { 0 };
	struct sgx_tcs tcs = { 0 };
	struct sgx_enclave_run run = { 0 };
	struct sgx_registers registers = { .rdi = TEST_NOTHING };
	unsigned int i;

	for (i = 0; i < 8; i++)
		accepted_page(PROT_READ | PROT_WRITE);
	own = pages + 4 * PAGE;
	ssa = pages + 5 * PAGE;
	tcs_page = pages + 7 * PAGE;
	thread.self = own - e.base;
	thread.stack_top = pages + 2 * PAGE - e.base;
	thread.exception_top = own - e.base;
	thread.ssa = ssa - e.base;
	thread.tcs = tcs_page - e.base;
	write_words(own, &thread, sizeof(thread) / 8);
	tcs.ossa = ssa - e.base;
	tcs.nssa = 2;
	tcs.oentry = e.entry;
	tcs.ofsbase = own - e.base;
	tcs.ogsbase = own - e.base;
	tcs.fslimit = 0xffffffff;
	tcs.gslimit = 0xffffffff;
	write_words(tcs_page, &tcs, 9);

	expect(change_type(e.fd, tcs_page, PAGE, TYPE_TCS), 0,
	       "MODIFY_TYPES to TCS");
	run.tcs = tcs_page;
	sgx_enter(&registers, SGX_EENTER, &run);
	expect(run.exception_vector, SGX_VECTOR_PF,
	       "EENTER of a TCS not yet accepted");
	expect(eaccept(tcs_page, SGX_SECINFO_TCS | SGX_SECINFO_MODIFIED), 0,
	       "EACCEPT of a TCS");
	e.tcs[2] = tcs_page;
	test_call(&e, 2, TEST_NOTHING, 0, 0, &result);
	expect_hex(result, TEST_MAGIC, "an ECALL of the new thread");
	expect_exception(&e, 2, TEST_READ, tcs_page, 0, SGX_VECTOR_PF,
			 SGX_PF_SGX | 5, tcs_page, "its TCS is not readable");
	expect(restrict_to(e.fd, tcs_page, PAGE, R), EINVAL,
	       "RESTRICT_PERMISSIONS of the new TCS");
	expect(change_type(e.fd, tcs_page, PAGE, TYPE_TRIM), 0,
	       "MODIFY_TYPES of a TCS to TRIM");
	expect(eaccept(tcs_page, SGX_SECINFO_TRIM | SGX_SECINFO_MODIFIED), 0,
	       "EACCEPT of that");
	expect(remove_pages(e.fd, tcs_page, PAGE), 0, "REMOVE_PAGES of a TCS");
}

/* More pages than fit: what was changed stays so while they come and go. */
static void test_many(void)
{
	enum { MANY = 300 };
	uint64_t start = e.base + e.size - MANY * PAGE, page, wrong = 0;
	unsigned int i;

	if (mmap((void *)start, MANY * PAGE, PROT_READ | PROT_WRITE,
		 MAP_SHARED | MAP_FIXED, e.fd, 0) == MAP_FAILED)
		give_up("mmap of many pages failed");
	for (i = 0; i < MANY; i++) {
		page = start + i * PAGE;
		if (eaccept(page, SGX_SECINFO_REG | RW | SGX_SECINFO_PENDING) ||
		    !write_word(page, i))
			wrong++;
	}
	expect(wrong, 0, "many pages: accepted and written");
	expect(restrict_to(e.fd, start, MANY / 2 * PAGE, R), 0,
	       "many pages: half of them restricted");
	expect(told.count, MANY / 2 * PAGE, "many pages: count");
	for (i = 0, wrong = 0; i < MANY / 2; i++)
		wrong += eaccept(start + i * PAGE,
				 SGX_SECINFO_REG | R | SGX_SECINFO_PR) != 0;
	expect(wrong, 0, "many pages: that accepted");
	for (i = 0, wrong = 0; i < MANY; i++) {
		uint64_t value = ~0ull;

		test_call(&e, 0, TEST_READ, start + i * PAGE, 0, &value);
		wrong += value != i;
	}
	expect(wrong, 0, "many pages: read");
	expect_exception(&e, fresh_thread(&e), TEST_WRITE, start, 1,
			 SGX_VECTOR_PF, SGX_PF_SGX | 7, start,
			 "many pages: no write to the first");
	expect(change_type(e.fd, start, MANY * PAGE, TYPE_TRIM), 0,
	       "many pages: trimmed");
	for (i = 0, wrong = 0; i < MANY; i++)
		wrong += eaccept(start + i * PAGE, SGX_SECINFO_TRIM |
				 SGX_SECINFO_MODIFIED) != 0;
	expect(wrong, 0, "many pages: that accepted too");
	expect(remove_pages(e.fd, start, MANY * PAGE), 0,
	       "many pages: removed");
	expect(told.count, MANY * PAGE, "many pages: all of them");
}

int main(void)
{
	test_enclave(&e, NULL);
	next_free = (e.base + e.source_size + PAGE) & -PAGE;
	arena = test_address(&e, PLACE_ARENA);
	test_probes();
	if (!e.cpu.sgx2) {
		skip("the processor has no SGX2", "SGX2");
		return done();
	}
	if (next_free + FREE_PAGES * PAGE > e.base + e.size)
		give_up("the test enclave has no free addresses");
	test_arguments();
	test_augment();
	test_goes_on();
	test_raw();
	test_permissions();
	test_remove();
	test_new_thread();
	test_many();
	enclave_destroy(&e);
	return done();
}
