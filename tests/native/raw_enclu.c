// SPDX-License-Identifier: Apache-2.0
/*
 * Entering without the vDSO, as some runtimes do: EENTER by the program's own
 * ENCLU, its own asynchronous exit pointer, and exceptions as signals.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <ucontext.h>
#include <unistd.h>

#include "raw.h"
#include "support.h"

#define ROUNDS 200000000ull

static struct enclave e;

static uint64_t enter(unsigned int thread, uint64_t rdi, uint64_t rsi,
		      uint64_t rdx)
{
	return raw_enclu(SGX_EENTER, e.tcs[thread], raw_aep, rdi, rsi, rdx);
}

static uint64_t resume(unsigned int thread)
{
	return raw_enclu(SGX_ERESUME, e.tcs[thread], raw_aep, 0, 0, 0);
}

static sigjmp_buf out;
static volatile struct {
	int number, code;
	uint64_t address, rip, rax, rbx;
	const char *flaw;
} caught;

static void on_signal(int number, siginfo_t *info, void *context)
{
	const greg_t *g = ((ucontext_t *)context)->uc_mcontext.gregs;

	caught.number = number;
	caught.code = info->si_code;
	caught.address = (uint64_t)info->si_addr;
	caught.rip = g[REG_RIP];
	caught.rax = g[REG_RAX];
	caught.rbx = g[REG_RBX];
	caught.flaw = raw_flaw(context, g[REG_RBX], SGX_XFRM_LEGACY);
	siglongjmp(out, 1);
}

static void catch_signals(void)
{
	static const int signals[] = { SIGILL, SIGSEGV, SIGFPE, SIGBUS, SIGTRAP };
	struct sigaction action = {
		.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO,
	};
	unsigned int i;

	for (i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		sigaction(signals[i], &action, NULL);
}

static void test_calls(void)
{
	struct test_registers seen = { 0 };

	expect_hex(enter(0, TEST_NOTHING, 0, 0), TEST_MAGIC, "an ECALL");
	expect_hex(enter(0, TEST_REGISTERS, (uint64_t)&seen, 0x4711), TEST_MAGIC,
		   "an ECALL that looks at its registers");
	expect_hex(seen.frame.rcx, (uint64_t)raw_enclu_instruction + 3,
		   "RCX is the address behind the EENTER");
	expect_hex(seen.frame.rbx, e.tcs[0], "RBX is the TCS");
	expect_hex(seen.frame.rdx, 0x4711, "RDX passes");
	expect_hex(seen.fs_base, seen.thread, "FS is the enclave's");
}

/* The EENTER or ERESUME itself faults: a signal at the ENCLU. */
static void expect_refused(uint64_t leaf, uint64_t tcs, uint64_t address,
			   const char *name)
{
	if (!sigsetjmp(out, 1)) {
		raw_enclu(leaf, tcs, raw_aep, TEST_NOTHING, 0, 0);
		expect_true(false, "%s: a signal", name);
		return;
	}
	expect(caught.number, SIGSEGV, "%s: SIGSEGV", name);
	expect_hex(caught.rip, (uint64_t)raw_enclu_instruction,
		   "%s: at the ENCLU", name);
	expect_hex(caught.rax, leaf, "%s: RAX is the leaf", name);
	expect_hex(caught.rbx, tcs, "%s: RBX is the TCS", name);
	expect_hex(caught.address, address, "%s: si_addr", name);
}

static void test_refused(void)
{
	uint64_t arena = test_address(&e, PLACE_ARENA);

	expect_refused(SGX_EENTER, e.tcs[0] + 8, 0, "an unaligned TCS");
	expect_refused(SGX_ERESUME, e.tcs[0], 0, "ERESUME of nothing");
	expect_refused(SGX_EENTER, arena, arena, "a data page as TCS");
	expect_refused(SGX_EREPORT, e.tcs[0], 0, "EREPORT outside");
	expect_refused(SGX_EGETKEY, e.tcs[0], 0, "EGETKEY outside");
	expect_refused(SGX_EEXIT, e.tcs[0], 0, "EEXIT outside");
	expect_refused(99, e.tcs[0], 0, "leaf 99");
	expect_hex(enter(0, TEST_NOTHING, 0, 0), TEST_MAGIC,
		   "an ECALL after all those");
}

static void expect_synthetic(const char *name)
{
	if (caught.flaw)
		printf("# %s is not as it should be\n", caught.flaw);
	expect_true(!caught.flaw, "%s: the state of an asynchronous exit",
		    name);
}

/* Something inside faults: a signal at the AEP, with the host's registers. */
static void expect_signal(enum test_ecall ecall, uint64_t rsi, int number,
			  int code, uint64_t address, const char *name)
{
	unsigned int thread = fresh_thread(&e);

	if (!sigsetjmp(out, 1)) {
		enter(thread, ecall, rsi, 0);
		expect_true(false, "%s: a signal", name);
		return;
	}
	expect(caught.number, number, "%s: the signal", name);
	if (code)
		expect(caught.code, code, "%s: si_code", name);
	expect_hex(caught.address, address, "%s: si_addr", name);
	expect_hex(caught.rbx, e.tcs[thread], "%s: RBX is the TCS", name);
	expect_synthetic(name);
}

static void test_signals(void)
{
	static const char *const names[ILLEGAL_COUNT] = {
		[ILLEGAL_INT80] = "INT 0x80", [ILLEGAL_INT21] = "INT 0x21",
		[ILLEGAL_SYSENTER] = "SYSENTER", [ILLEGAL_IN] = "IN",
		[ILLEGAL_OUT] = "OUT", [ILLEGAL_INS] = "INS",
		[ILLEGAL_OUTS] = "OUTS", [ILLEGAL_INT1] = "INT1",
	};
	unsigned int i;
	uint64_t guard = test_address(&e, PLACE_GUARD);
	uint64_t code = test_address(&e, PLACE_CODE);

	expect_signal(TEST_UD2, 0, SIGILL, ILL_ILLOPN, (uint64_t)raw_aep, "UD2");
	expect_signal(TEST_DIVIDE, 0, SIGFPE, FPE_INTDIV, (uint64_t)raw_aep,
		      "division by zero");
	expect_signal(TEST_SYSCALL, 0, SIGILL, ILL_ILLOPN, (uint64_t)raw_aep,
		      "SYSCALL");
	for (i = 0; i < ILLEGAL_COUNT; i++)
		expect_signal(TEST_ILLEGAL, i, SIGILL, ILL_ILLOPN,
			      (uint64_t)raw_aep, names[i]);
	expect_signal(TEST_READ, guard + 0x123, SIGSEGV, 0, guard,
		      "read of an absent page");
	expect_signal(TEST_WRITE, code, SIGSEGV, SEGV_ACCERR, code & -PAGE,
		      "write to code");
	expect_signal(TEST_READ, 1ull << 63, SIGSEGV, SI_KERNEL, 0,
		      "read of no canonical address");
}

/* Handle and resume, all by our own ENCLU. */
static void test_resume(void)
{
	unsigned int thread = fresh_thread(&e);

	if (!sigsetjmp(out, 1))
		enter(thread, TEST_UD2, 0, 0);
	expect(caught.number, SIGILL, "resume: interrupted by SIGILL");
	expect(enter(thread, HANDLE_RECOVER, 0, 0), ENCLAVE_EXCEPTION_FIXED,
	       "resume: the enclave's handler repairs it");
	expect_hex(resume(thread), TEST_MAGIC, "resume: it ends well");
	expect_hex(enter(thread, TEST_NOTHING, 0, 0), TEST_MAGIC,
		   "resume: the TCS is as new");
}

/* A handler that repairs the cause and returns: the AEP resumes. */
static void give_back(int number, siginfo_t *info, void *context)
{
	(void)context;
	caught.number = number;
	mprotect((void *)((uint64_t)info->si_addr & -PAGE), PAGE,
		 PROT_READ | PROT_WRITE);
}

static void test_handler_returns(void)
{
	uint64_t arena = test_address(&e, PLACE_ARENA);
	struct sigaction action = {
		.sa_sigaction = give_back, .sa_flags = SA_SIGINFO,
	};

	sigaction(SIGSEGV, &action, NULL);
	enter(0, TEST_WRITE, arena, 1);
	caught.number = 0;
	mprotect((void *)arena, PAGE, PROT_READ);
	expect_hex(enter(0, TEST_WRITE, arena, 4711), TEST_MAGIC,
		   "a handler gives a page back");
	expect(caught.number, SIGSEGV, "it was called");
	expect(enter(0, TEST_READ, arena, 0), 4711, "and the write took place");
	catch_signals();
}

static volatile unsigned int alarms, alarms_inside, alarms_elsewhere;

static void on_alarm(int number, siginfo_t *info, void *context)
{
	const greg_t *g = ((ucontext_t *)context)->uc_mcontext.gregs;

	(void)number;
	(void)info;
	alarms++;
	alarms_inside += g[REG_RIP] == (greg_t)counting_aep;
	alarms_elsewhere += (uint64_t)g[REG_RIP] - e.base < e.size;
}

static uint64_t stirred(uint64_t x, uint64_t rounds)
{
	while (rounds--)
		x = test_stir(x);
	return x;
}

/* The AEP is code of the program's: it may do something before it resumes. */
static void test_aep_code(void)
{
	struct itimerval every = { { 0, 2000 }, { 0, 2000 } }, never = { 0 };
	struct sigaction action = {
		.sa_sigaction = on_alarm, .sa_flags = SA_SIGINFO | SA_RESTART,
	};
	uint64_t result;

	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &every, NULL);
	result = raw_enclu(SGX_EENTER, e.tcs[0], counting_aep, TEST_SPIN, 77,
			   ROUNDS);
	setitimer(ITIMER_REAL, &never, NULL);
	signal(SIGALRM, SIG_DFL);
	expect_hex(result, stirred(77, ROUNDS), "timer: the result is right");
	expect_true(alarms_inside > 0, "timer: it came at our AEP");
	expect(alarms_elsewhere, 0, "timer: and never at an address inside");
	expect_true(aep_count > 0, "timer: and our AEP's code resumed");
}

int main(void)
{
	test_enclave(&e, NULL);
	catch_signals();
	test_calls();
	test_refused();
	test_signals();
	test_resume();
	test_handler_returns();
	test_aep_code();
	enclave_destroy(&e);
	return done();
}
