// SPDX-License-Identifier: Apache-2.0
/*
 * What of the processor's state crosses the border, without the vDSO: vector
 * registers by XFRM, flags, segment bases, and what SSA frames say of exceptions.
 */
#define _GNU_SOURCE
#include <asm/prctl.h>
#include <immintrin.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include "raw.h"
#include "support.h"

#define XFRM_AVX512 0xe7ull

#define FLAG_CF (1u << 0)
#define FLAG_TF (1u << 8)
#define FLAG_DF (1u << 10)
#define FLAG_AC (1u << 18)
#define FLAG_ID (1u << 21)
#define ARITHMETIC 0x8d5u

static struct enclave e;
static struct test_wait inside;
static sigjmp_buf out;

static struct {
	volatile unsigned int calls;
	volatile int number, code;
	volatile uint64_t address, rip, flags, tcs;
	const char *volatile flaw;
	uint8_t ymm[16][16];
} seen;

static void note(int number, const siginfo_t *info, const ucontext_t *context)
{
	const greg_t *g = context->uc_mcontext.gregs;
	const uint8_t *ymm;
	unsigned int size;

	seen.calls++;
	seen.number = number;
	seen.code = info->si_code;
	seen.address = (uint64_t)info->si_addr;
	seen.rip = g[REG_RIP];
	seen.flags = g[REG_EFL];
	seen.tcs = g[REG_RBX];
	seen.flaw = raw_flaw(context, g[REG_RBX], e.secs.xfrm);
	ymm = raw_component(context, 2, &size);
	memset(seen.ymm, 0, sizeof(seen.ymm));
	if (ymm)
		memcpy(seen.ymm, ymm, sizeof(seen.ymm));
}

static void handle(int signal, void (*handler)(int, siginfo_t *, void *))
{
	struct sigaction action = {
		.sa_sigaction = handler, .sa_flags = SA_SIGINFO,
	};

	sigaction(signal, &action, NULL);
}

static void expect_no_flaw(const char *name)
{
	if (seen.flaw)
		printf("# %s is not as it should be\n", seen.flaw);
	expect_true(!seen.flaw, "%s: the handler sees an asynchronous exit",
		    name);
}

static void start_timer(long microseconds)
{
	static timer_t timer;
	struct sigevent event = {
		.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGALRM,
	};
	struct itimerspec at = { .it_value.tv_nsec = microseconds * 1000 };

	if (!timer && timer_create(CLOCK_MONOTONIC, &event, &timer))
		give_up("no timer");
	timer_settime(timer, 0, &at, NULL);
}

static void let_go(int number, siginfo_t *info, void *context)
{
	if (((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP] !=
	    (greg_t)raw_aep || !inside.inside) {
		start_timer(2000);
		return;
	}
	note(number, info, context);
	inside.leave = 1;
}

/* An ECALL that waits inside until one signal has interrupted it. */
static uint64_t interrupted(enum test_ecall ecall, uint64_t rdx)
{
	memset(&seen, 0, sizeof(seen));
	memset(&inside, 0, sizeof(inside));
	handle(SIGALRM, let_go);
	start_timer(2000);
	return raw_enclu(SGX_EENTER, e.tcs[0], raw_aep, ecall,
			 (uint64_t)&inside, rdx);
}

static bool build(uint64_t xfrm, bool exinfo, bool debug, const char *name)
{
	struct enclave_options options = {
		.xfrm = xfrm, .exinfo = exinfo, .debug = debug,
	};

	test_enclave(&e, &options);
	if ((e.secs.xfrm & xfrm) == xfrm)
		return true;
	skip("the processor has no such state", "%s", name);
	enclave_destroy(&e);
	return false;
}

static void test_held(uint64_t xfrm, enum test_ecall ecall, const char *name)
{
	if (!build(xfrm, true, false, name))
		return;
	expect_hex(interrupted(ecall, 0), TEST_MAGIC,
		   "%s: the enclave keeps its state", name);
	expect(seen.calls, 1, "%s: one signal", name);
	expect_no_flaw(name);
	enclave_destroy(&e);
}

/* What is not in XFRM is the host's, in the handler and afterwards. */
__attribute__((target("avx")))
static void set_ymm(const uint8_t values[16][32])
{
#define LOAD(n) asm volatile("vmovdqu %0, %%ymm" #n : : "m"(values[n][0]), "m"(values[n][31]))
	LOAD(0); LOAD(1); LOAD(2); LOAD(3); LOAD(4); LOAD(5); LOAD(6); LOAD(7);
	LOAD(8); LOAD(9); LOAD(10); LOAD(11); LOAD(12); LOAD(13); LOAD(14);
	LOAD(15);
}

__attribute__((target("avx")))
static void get_ymm(uint8_t values[16][32])
{
#define STORE(n) asm volatile("vmovdqu %%ymm" #n ", %0" : "=m"(values[n][0]) : : "memory")
	STORE(0); STORE(1); STORE(2); STORE(3); STORE(4); STORE(5); STORE(6);
	STORE(7); STORE(8); STORE(9); STORE(10); STORE(11); STORE(12);
	STORE(13); STORE(14); STORE(15);
}

static void test_not_in_xfrm(void)
{
	uint8_t before[16][32], after[16][32];
	int i, j, lost = 0, lost_in_handler = 0;
	uint64_t result;

	build(0, true, false, "XFRM 3");
	if (!__builtin_cpu_supports("avx")) {
		skip("no AVX", "XFRM 3: the upper halves are the host's");
		enclave_destroy(&e);
		return;
	}
	for (i = 0; i < 16; i++)
		for (j = 0; j < 32; j++)
			before[i][j] = i * 16 + j + 1;
	memset(&seen, 0, sizeof(seen));
	memset(&inside, 0, sizeof(inside));
	handle(SIGALRM, let_go);
	start_timer(3000);
	set_ymm(before);
	result = raw_enclu(SGX_EENTER, e.tcs[0], raw_aep, TEST_HOLD_STATE,
			   (uint64_t)&inside, 0);
	get_ymm(after);
	expect_hex(result, TEST_MAGIC, "XFRM 3: the enclave keeps its state");
	for (i = 0; i < 16; i++) {
		lost += !!memcmp(before[i] + 16, after[i] + 16, 16);
		lost_in_handler += !!memcmp(before[i] + 16, seen.ymm[i], 16);
	}
	expect(lost_in_handler, 0,
	       "XFRM 3: the handler sees the host's upper halves");
	expect(lost, 0, "XFRM 3: and they are the host's afterwards");
	enclave_destroy(&e);
}

/*
 * Flags inside outlast an exit; outside sees no arithmetic ones. (Not with AC:
 * a handler has it too, and C libraries have accesses that are not aligned.)
 */
static void test_flags(void)
{
	static const uint32_t sets[] = {
		2, 2 | ARITHMETIC, 2 | FLAG_DF | FLAG_CF, 2 | FLAG_ID,
		2 | ARITHMETIC | FLAG_DF | FLAG_ID,
	};
	const uint32_t mask = 2 | ARITHMETIC | FLAG_DF | FLAG_ID;
	struct test_registers r = { 0 };
	unsigned int i;

	build(0, true, false, "flags");
	for (i = 0; i < sizeof(sets) / sizeof(sets[0]); i++) {
		expect_hex(interrupted(TEST_HOLD_FLAGS, sets[i]) & mask,
			   sets[i], "flags 0x%x: kept inside", sets[i]);
		expect_hex(seen.flags & (ARITHMETIC | FLAG_DF),
			   sets[i] & FLAG_DF,
			   "flags 0x%x: what the handler sees", sets[i]);
		expect(seen.calls, 1, "flags 0x%x: one signal", sets[i]);
	}
	raw_flags_in = 2 | FLAG_DF | FLAG_AC;
	expect_hex(raw_enclu(SGX_EENTER, e.tcs[0], raw_aep, TEST_REGISTERS,
			     (uint64_t)&r, 0), TEST_MAGIC,
		   "flags: an ECALL with DF and AC");
	raw_flags_in = 2;
	expect_hex(r.frame.rflags & (FLAG_DF | FLAG_AC),
		   FLAG_DF | FLAG_AC, "flags: EENTER passes them");
	expect_hex(raw_flags_out & (FLAG_DF | FLAG_AC), 0,
		   "flags: EEXIT passes the enclave's");
	enclave_destroy(&e);
}

/* The trap flag of the host, and one that the enclave sets itself. */
static void end_stepping(int number, siginfo_t *info, void *context)
{
	greg_t *g = ((ucontext_t *)context)->uc_mcontext.gregs;

	note(number, info, context);
	g[REG_EFL] &= ~FLAG_TF;
}

static void expect_step(const char *name)
{
	expect(seen.calls, 1, "%s: one step", name);
	expect(seen.code, TRAP_TRACE, "%s: si_code", name);
	expect_hex(seen.rip, (uint64_t)raw_enclu_instruction + 3,
		   "%s: the step ends behind the EENTER", name);
	expect_hex(seen.address, seen.rip, "%s: si_addr", name);
	expect_true(seen.flags & FLAG_TF, "%s: the host's TF is back", name);
}

static void let_go_twice(int number, siginfo_t *info, void *context)
{
	unsigned int calls = seen.calls;

	let_go(number, info, context);
	if (seen.calls > calls) {
		expect_true(seen.flags & FLAG_TF,
			    "opt-out, interrupted: TF is the host's");
		seen.calls = 0;
	}
}

static void test_opt_out(void)
{
	uint64_t tcs, result;

	build(0, true, false, "opt-out");
	tcs = e.tcs[0];
	handle(SIGTRAP, end_stepping);

	memset(&seen, 0, sizeof(seen));
	raw_flags_in = 2 | FLAG_TF;
	result = raw_enclu(SGX_EENTER, tcs, raw_aep, TEST_NOTHING, 0, 0);
	raw_flags_in = 2;
	expect_hex(result, TEST_MAGIC, "opt-out, TF: an ECALL");
	expect_step("opt-out, TF");

	memset(&seen, 0, sizeof(seen));
	memset(&inside, 0, sizeof(inside));
	handle(SIGALRM, let_go_twice);
	start_timer(3000);
	raw_flags_in = 2 | FLAG_TF;
	result = raw_enclu(SGX_EENTER, tcs, raw_aep, TEST_SPIN_UNTIL,
			   (uint64_t)&inside, 0);
	raw_flags_in = 2;
	expect_hex(result, TEST_MAGIC, "opt-out, interrupted: an ECALL");
	expect_step("opt-out, interrupted");

	memset(&seen, 0, sizeof(seen));
	result = raw_enclu(SGX_EENTER, tcs, raw_aep, TEST_TRAP_FLAG, 0, 0);
	expect_hex(result & FLAG_TF, 0, "opt-out: POPF inside cannot set TF");
	expect(seen.calls, 0, "opt-out: nor does it trap");
	signal(SIGTRAP, SIG_DFL);
	enclave_destroy(&e);
}

/* The host's segment bases, changed between ECALLs. */
static void test_segments(void)
{
	struct test_registers r = { 0 };
	uint64_t gs = 0, fs, fs_after, marker = 0x1234567890;

	build(0, true, false, "segments");
	syscall(SYS_arch_prctl, ARCH_SET_GS, &marker);
	syscall(SYS_arch_prctl, ARCH_GET_FS, &fs);
	expect_hex(raw_enclu(SGX_EENTER, e.tcs[0], raw_aep, TEST_REGISTERS,
			     (uint64_t)&r, 0), TEST_MAGIC, "segments: an ECALL");
	syscall(SYS_arch_prctl, ARCH_GET_GS, &gs);
	syscall(SYS_arch_prctl, ARCH_GET_FS, &fs_after);
	expect_hex(r.gs_base, r.thread, "segments: GS inside");
	expect_hex(r.fs_base, r.thread, "segments: FS inside");
	expect_hex(gs, (uint64_t)&marker, "segments: the host's GS is back");
	expect_hex(fs_after, fs, "segments: the host's FS is back");
	expect_hex(interrupted(TEST_HOLD_STATE, 0), TEST_MAGIC,
		   "segments: an ECALL that is interrupted");
	syscall(SYS_arch_prctl, ARCH_GET_GS, &gs);
	expect_hex(gs, (uint64_t)&marker, "segments: GS after that");
	syscall(SYS_arch_prctl, ARCH_SET_GS, 0);
	enclave_destroy(&e);
}

/* Exceptions: the signal outside, EXITINFO and EXINFO inside. */
static void jump(int number, siginfo_t *info, void *context)
{
	/* An exit leaves AC as the enclave had it. */
	asm volatile("pushfq; andl $~0x40000, (%%rsp); popfq"
		     : : : "cc", "memory");
	note(number, info, context);
	siglongjmp(out, 1);
}

static const struct vector {
	const char *name;
	enum test_ecall ecall;
	uint64_t rsi;
	int vector, signal, code;
	uint64_t address, maddr;
	uint32_t errcd;
} *now;

static void expect_vector(bool exinfo)
{
	bool only_exinfo = now->vector == SGX_VECTOR_PF ||
			   now->vector == SGX_VECTOR_GP;
	struct test_exception recorded = { 0 };
	unsigned int thread = fresh_thread(&e);
	const char *what = exinfo ? "with EXINFO" : "without EXINFO";
	uint64_t told;

	if (!sigsetjmp(out, 1))
		raw_enclu(SGX_EENTER, e.tcs[thread], raw_aep, now->ecall,
			  now->rsi, 0);
	expect(seen.number, now->signal, "%s %s: signal", now->name, what);
	expect(seen.code, now->code, "%s %s: si_code", now->name, what);
	expect_hex(seen.address, now->address, "%s %s: si_addr", now->name,
		   what);
	expect_no_flaw(now->name);
	told = raw_enclu(SGX_EENTER, e.tcs[thread], raw_aep, HANDLE_RECORD,
			 (uint64_t)&recorded, 0);
	if (only_exinfo && !exinfo) {
		expect(told, ENCLAVE_EXCEPTION_NONE, "%s %s: nothing is told",
		       now->name, what);
		return;
	}
	expect(told, ENCLAVE_EXCEPTION_FIXED, "%s %s: told", now->name, what);
	expect_hex(recorded.state.exitinfo,
		   SGX_EXITINFO_VALID | SGX_EXITTYPE_HARDWARE << 8 | now->vector,
		   "%s %s: EXITINFO", now->name, what);
	if (only_exinfo) {
		expect_hex(recorded.exinfo.maddr & -PAGE, now->maddr,
			   "%s %s: EXINFO.MADDR", now->name, what);
		expect_hex(recorded.exinfo.errcd, now->errcd,
			   "%s %s: EXINFO.ERRCD", now->name, what);
	}
	raw_enclu(SGX_EENTER, e.tcs[thread], raw_aep, HANDLE_RECOVER, 0, 0);
	expect_hex(raw_enclu(SGX_ERESUME, e.tcs[thread], raw_aep, 0, 0, 0),
		   now->ecall == TEST_READ ? 0 : TEST_MAGIC,
		   "%s %s: resumed behind it", now->name, what);
}

static void test_vectors(bool exinfo)
{
	uint64_t aep = (uint64_t)raw_aep, guard, code;
	struct vector vectors[12];
	unsigned int i, n = 0;

	build(0, exinfo, false, "vectors");
	guard = test_address(&e, PLACE_GUARD);
	code = test_address(&e, PLACE_CODE) & -PAGE;
	vectors[n++] = (struct vector){ "#DE", TEST_DIVIDE, 0, 0, SIGFPE,
		FPE_INTDIV, aep, 0, 0 };
	vectors[n++] = (struct vector){ "#UD", TEST_UD2, 0, 6, SIGILL,
		ILL_ILLOPN, aep, 0, 0 };
	vectors[n++] = (struct vector){ "INT3 is #UD", TEST_INT3, 0, 6, SIGILL,
		ILL_ILLOPN, aep, 0, 0 };
	vectors[n++] = (struct vector){ "#MF", TEST_EXCEPTION, VECTOR_MF, 16,
		SIGFPE, FPE_FLTDIV, aep, 0, 0 };
	vectors[n++] = (struct vector){ "#XM", TEST_EXCEPTION, VECTOR_XM, 19,
		SIGFPE, FPE_FLTDIV, aep, 0, 0 };
	vectors[n++] = (struct vector){ "#AC", TEST_EXCEPTION, VECTOR_AC, 17,
		SIGBUS, BUS_ADRALN, 0, 0, 0 };
	vectors[n++] = (struct vector){ "#PF read", TEST_READ, guard + 0x123,
		14, SIGSEGV, SEGV_MAPERR, guard, guard, SGX_PF_USER };
	vectors[n++] = (struct vector){ "#PF write", TEST_WRITE, code + 8, 14,
		SIGSEGV, SEGV_ACCERR, code, code,
		SGX_PF_PRESENT | SGX_PF_WRITE | SGX_PF_USER };
	vectors[n++] = (struct vector){ "#GP", TEST_READ, 1ull << 63, 13,
		SIGSEGV, SI_KERNEL, 0, 0, 0 };
	vectors[n++] = (struct vector){ "#GP jump out", TEST_JUMP,
		(uint64_t)raw_aep, 13, SIGSEGV, SI_KERNEL, 0, 0, 0 };
	handle(SIGFPE, jump);
	handle(SIGILL, jump);
	handle(SIGBUS, jump);
	handle(SIGSEGV, jump);
	handle(SIGTRAP, jump);
	for (i = 0; i < n; i++) {
		now = &vectors[i];
		expect_vector(exinfo);
	}
	signal(SIGFPE, SIG_DFL);
	signal(SIGILL, SIG_DFL);
	signal(SIGBUS, SIG_DFL);
	signal(SIGSEGV, SIG_DFL);
	signal(SIGTRAP, SIG_DFL);
	enclave_destroy(&e);
}

int main(void)
{
	test_held(0, TEST_HOLD_STATE, "XFRM 3");
	test_held(SGX_XFRM_AVX, TEST_HOLD_STATE_AVX, "XFRM 7");
	test_held(XFRM_AVX512, TEST_HOLD_STATE_AVX512, "XFRM 0xe7");
	test_held(XFRM_AVX512, TEST_HOLD_STATE_AVX, "XFRM 0xe7, AVX");
	test_not_in_xfrm();
	test_flags();
	test_segments();
	test_opt_out();
	test_vectors(true);
	test_vectors(false);
	return done();
}
