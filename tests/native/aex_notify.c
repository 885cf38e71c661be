// SPDX-License-Identifier: Apache-2.0
/*
 * AEX-Notify: ERESUME does not go on where an asynchronous exit left the enclave but enters
 * at its entry point, one SSA frame up; the handler there goes back by EDECCSSA.
 */
#define _GNU_SOURCE
#include <cpuid.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <ucontext.h>
#include <unistd.h>

#include "raw.h"
#include "support.h"

#define ROUNDS 30000000ull

static struct enclave e;
static volatile unsigned int alarms, alarms_inside;
static struct test_wait inside;

static bool has_notify(void)
{
	unsigned int eax, ebx, ecx, edx;

	return e.cpu.attributes & SGX_ATTR_AEXNOTIFY &&
	       __get_cpuid_count(0x12, 0, &eax, &ebx, &ecx, &edx) &&
	       eax >> 11 & 1;
}

static uint64_t by_vdso(unsigned int thread, uint64_t rdi, uint64_t rsi,
			uint64_t rdx)
{
	uint64_t result = 0;

	test_call(&e, thread, rdi, rsi, rdx, &result);
	return result;
}

static uint64_t by_enclu(unsigned int thread, uint64_t rdi, uint64_t rsi,
			 uint64_t rdx)
{
	return raw_enclu(SGX_EENTER, e.tcs[thread], raw_aep, rdi, rsi, rdx);
}

typedef uint64_t entry_t(unsigned int thread, uint64_t rdi, uint64_t rsi,
			 uint64_t rdx);

static void on_alarm(int number, siginfo_t *info, void *context)
{
	const greg_t *g = ((ucontext_t *)context)->uc_mcontext.gregs;
	bool is_inside = g[REG_RAX] == SGX_ERESUME &&
			 (uint64_t)g[REG_RBX] - e.base < e.size;

	(void)number;
	(void)info;
	alarms++;
	alarms_inside += is_inside;
	if (is_inside)
		inside.leave = 1;
}

static void alarms_every(long microseconds)
{
	struct itimerval every = {
		{ 0, microseconds }, { 0, microseconds },
	};

	setitimer(ITIMER_REAL, &every, NULL);
}

static void test_way(entry_t *enter, unsigned int thread, const char *name)
{
	struct sigaction action = {
		.sa_sigaction = on_alarm, .sa_flags = SA_SIGINFO | SA_RESTART,
	};
	uint64_t before, after, x = 99, i, result;

	sigaction(SIGALRM, &action, NULL);
	expect_hex(enter(thread, TEST_NOTIFY, 1, 0), TEST_MAGIC, "%s: on",
		   name);
	before = enter(thread, TEST_NOTIFIED, 0, 0);
	alarms_inside = 0;
	alarms_every(1000);
	result = enter(thread, TEST_SPIN, x, ROUNDS);
	alarms_every(0);
	for (i = 0; i < ROUNDS; i++)
		x = test_stir(x);
	expect_hex(result, x, "%s: a timer storm, and the result is right",
		   name);
	after = enter(thread, TEST_NOTIFIED, 0, 0);
	expect_true(alarms_inside > 0, "%s: there were interruptions", name);
	expect_true(after - before >= alarms_inside / 2,
		    "%s: the enclave was notified", name);

	memset(&inside, 0, sizeof(inside));
	before = enter(thread, TEST_NOTIFIED, 0, 0);
	alarms_every(3000);
	result = enter(thread, e.secs.xfrm & SGX_XFRM_AVX ?
			       TEST_HOLD_STATE_AVX : TEST_HOLD_STATE,
		       (uint64_t)&inside, 0);
	alarms_every(0);
	expect_hex(result, TEST_MAGIC, "%s: all registers survive", name);
	after = enter(thread, TEST_NOTIFIED, 0, 0);
	expect_true(after > before, "%s: notified meanwhile", name);

	expect_hex(enter(thread, TEST_NOTIFY, 0, 0), TEST_MAGIC, "%s: off",
		   name);
	before = enter(thread, TEST_NOTIFIED, 0, 0);
	memset(&inside, 0, sizeof(inside));
	alarms_every(3000);
	result = enter(thread, TEST_HOLD_STATE, (uint64_t)&inside, 0);
	alarms_every(0);
	expect_hex(result, TEST_MAGIC, "%s: an interruption without", name);
	expect(enter(thread, TEST_NOTIFIED, 0, 0), before,
	       "%s: no notification then", name);
	signal(SIGALRM, SIG_DFL);
}

/* The handler may repair an exception as well, without an entry of its own. */
static volatile unsigned int traps;

static void go_back(int number)
{
	(void)number;
	traps++;
}

static void test_exception_raw(void)
{
	expect_hex(by_enclu(3, TEST_NOTIFY, 1, 0), TEST_MAGIC,
		   "exception: on");
	signal(SIGILL, go_back);
	expect_hex(by_enclu(3, TEST_UD2, 0, 0), TEST_MAGIC,
		   "exception: repaired when the AEP resumes");
	expect(traps, 1, "exception: one signal");
	signal(SIGILL, SIG_DFL);
}

static void test_exception_vdso(void)
{
	struct sgx_registers registers = { .rdi = TEST_UD2 };
	struct sgx_enclave_run run = { 0 };

	expect_hex(by_vdso(4, TEST_NOTIFY, 1, 0), TEST_MAGIC,
		   "vDSO, exception: on");
	expect(enclave_enter(&e, 4, SGX_EENTER, &registers, &run), 1,
	       "vDSO, exception: reported");
	expect(run.exception_vector, SGX_VECTOR_UD, "vDSO, exception: vector");
	expect(enclave_enter(&e, 4, SGX_ERESUME, &registers, &run), 0,
	       "vDSO, exception: resumed");
	expect_hex(registers.rdi, TEST_MAGIC, "vDSO, exception: repaired");
}

/* EDECCSSA with nothing below is refused. */
static void test_at_the_bottom(void)
{
	expect_exception(&e, 5, TEST_ENCLU, SGX_EDECCSSA, 0, SGX_VECTOR_GP, 0,
			 0, "EDECCSSA in frame 0");
}

static void expect_unenterable(uint64_t attributes, uint64_t tcs_flags,
			       bool enterable, const char *name)
{
	struct enclave_options options = { .attributes = attributes };
	struct sgx_enclave_run run = { 0 };
	struct sgx_registers registers = { .rdi = TEST_NOTHING };

	test_enclave_with(&e, &options, tcs_flags);
	run.tcs = e.tcs[0];
	expect(sgx_enter(&registers, SGX_EENTER, &run), 0, "%s: the vDSO returns",
	       name);
	if (enterable) {
		expect(run.function, SGX_EEXIT, "%s: entered", name);
	} else {
		expect(run.function, SGX_EENTER, "%s: refused", name);
		expect(run.exception_vector, SGX_VECTOR_GP, "%s: #GP", name);
	}
	enclave_destroy(&e);
}

static void test_storms(uint64_t xfrm)
{
	struct enclave_options options = {
		.attributes = SGX_ATTR_AEXNOTIFY, .xfrm = xfrm, .exinfo = true,
	};

	test_enclave_with(&e, &options, SGX_TCS_AEXNOTIFY);
	test_way(by_vdso, 1, xfrm ? "vDSO, AVX" : "vDSO");
	test_way(by_enclu, 2, xfrm ? "our own ENCLU, AVX" : "our own ENCLU");
	if (!xfrm) {
		test_exception_raw();
		test_exception_vdso();
		test_at_the_bottom();
	}
	enclave_destroy(&e);
}

int main(void)
{
	enclave_zero(&e);
	if (!sgx_cpu_detect(&e.cpu))
		give_up("no SGX");
	if (!has_notify()) {
		skip("the processor has no AEX-Notify", "AEX-Notify");
		return done();
	}
	test_storms(0);
	test_storms(SGX_XFRM_AVX);
	expect_unenterable(0, 0, true, "neither enclave nor TCS");
	expect_unenterable(SGX_ATTR_AEXNOTIFY, SGX_TCS_AEXNOTIFY, true,
			   "enclave and TCS");
	expect_unenterable(SGX_ATTR_AEXNOTIFY, 0, false, "the enclave only");
	return done();
}
