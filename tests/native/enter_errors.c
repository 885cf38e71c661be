// SPDX-License-Identifier: Apache-2.0
/* Entering by the vDSO: what passes, what faults, and how that is reported. */
#define _GNU_SOURCE
#include <asm/prctl.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include "support.h"

#define RFLAGS_DF 0x400

static struct enclave e;

/*
 * The ENCLU itself faults.
 */

static void test_tcs_address(void)
{
	uint64_t tcs = e.tcs[0], arena = test_address(&e, PLACE_ARENA);
	uint64_t code = test_address(&e, PLACE_CODE) & -PAGE;

	expect_enclu_fault(tcs + 1, SGX_EENTER, SGX_VECTOR_GP, "TCS + 1");
	expect_enclu_fault(tcs + 8, SGX_EENTER, SGX_VECTOR_GP, "TCS + 8");
	expect_enclu_fault(tcs + 2048, SGX_EENTER, SGX_VECTOR_GP, "TCS + 2048");
	expect_enclu_fault(tcs + 8, SGX_ERESUME, SGX_VECTOR_GP,
			   "ERESUME of TCS + 8");
	expect_enclu_fault(1ull << 63, SGX_EENTER, SGX_VECTOR_GP,
			   "TCS not canonical");
	expect_enclu_fault(arena, SGX_EENTER, SGX_VECTOR_PF, "a data page as TCS");
	expect_enclu_fault(code, SGX_EENTER, SGX_VECTOR_PF, "a code page as TCS");
	expect_enclu_fault(test_address(&e, PLACE_GUARD), SGX_EENTER,
			   SGX_VECTOR_PF, "an absent page as TCS");
	expect_enclu_fault((uint64_t)ordinary_page(), SGX_EENTER, SGX_VECTOR_PF,
			   "ordinary memory as TCS");
	expect_enclu_fault((uint64_t)absent_page(), SGX_EENTER, SGX_VECTOR_PF,
			   "nothing as TCS");
	expect_enclu_fault(0, SGX_EENTER, SGX_VECTOR_PF, "NULL as TCS");
	expect_enclu_fault(arena, SGX_ERESUME, SGX_VECTOR_PF,
			   "ERESUME of a data page");
	expect_enclu_fault((uint64_t)ordinary_page(), SGX_ERESUME,
			   SGX_VECTOR_PF, "ERESUME of ordinary memory");
}

static void test_tcs_state(void)
{
	uint64_t result = 0;

	expect_enclu_fault(e.tcs[0], SGX_ERESUME, SGX_VECTOR_GP,
			   "ERESUME of what was not interrupted");
	mprotect((void *)e.tcs[0], PAGE, PROT_NONE);
	expect_enclu_fault(e.tcs[0], SGX_EENTER, SGX_VECTOR_PF,
			   "a TCS whose page is mapped ---");
	mprotect((void *)e.tcs[0], PAGE, PROT_READ | PROT_WRITE);
	expect_true(test_call(&e, 0, TEST_NOTHING, 0, 0, &result) &&
		    result == TEST_MAGIC, "the TCS works after all that");
}

static struct test_wait wait;

static void *stay_inside(void *thread)
{
	uint64_t result;

	test_call(&e, (uintptr_t)thread, TEST_SPIN_UNTIL, (uint64_t)&wait, 0,
		  &result);
	return NULL;
}

static void test_busy(void)
{
	unsigned int thread = fresh_thread(&e);
	uint64_t result = 0;
	pthread_t other;

	if (pthread_create(&other, NULL, stay_inside, (void *)(uintptr_t)thread))
		give_up("no thread");
	while (!wait.inside)
		sched_yield();
	expect_enclu_fault(e.tcs[thread], SGX_EENTER, SGX_VECTOR_GP,
			   "a busy TCS");
	expect_enclu_fault(e.tcs[thread], SGX_ERESUME, SGX_VECTOR_GP,
			   "ERESUME of a busy TCS");
	expect_true(test_call(&e, 0, TEST_NOTHING, 0, 0, &result),
		    "another TCS of the same enclave is free");
	wait.leave = 1;
	pthread_join(other, NULL);
	expect_true(test_call(&e, thread, TEST_NOTHING, 0, 0, &result) &&
		    result == TEST_MAGIC, "the TCS is free afterwards");
}

static int enter(unsigned int thread, uint32_t leaf, uint64_t rdi, uint64_t rsi,
		 struct sgx_enclave_run *run, uint64_t *result)
{
	struct sgx_registers registers = { .rdi = rdi, .rsi = rsi };
	int r;

	memset(run, 0, sizeof(*run));
	r = enclave_enter(&e, thread, leaf, &registers, run);
	*result = registers.rdi;
	return r;
}

static void test_nssa(void)
{
	unsigned int thread = fresh_thread(&e);
	struct sgx_enclave_run run;
	uint64_t result = 0;

	expect_exception(&e, thread, TEST_UD2, 0, 0, SGX_VECTOR_UD, 0, 0,
			 "UD2 at CSSA 0");
	expect(enter(thread, SGX_EENTER, HANDLE_FAULT, 0, &run, &result), 1,
	       "its handler at CSSA 1 faults too");
	expect(run.function, SGX_ERESUME, "its handler faults: function");
	expect(run.exception_vector, SGX_VECTOR_UD, "its handler faults: vector");
	expect_enclu_fault(e.tcs[thread], SGX_EENTER, SGX_VECTOR_GP,
			   "no SSA frame left");
	expect(enter(thread, SGX_ERESUME, 0, 0, &run, &result), 1,
	       "resuming the handler faults again");
	expect(run.exception_vector, SGX_VECTOR_UD, "resuming it: vector");
}

/* A TCS that cannot work is only found out when it is entered. */
static void enter_tiny(void (*change)(struct sgx_tcs *), unsigned int vector,
		       const char *name)
{
	struct sgx_enclave_run run = { 0 };
	struct sgx_registers registers = { 0 };
	struct enclave tiny;

	tiny_open(&tiny);
	change((void *)(tiny.source + TINY_TCS * PAGE));
	tiny_create(&tiny);
	tiny_add(&tiny);
	tiny_sign(&tiny);
	tiny_init(&tiny);
	if (enclave_map(&tiny))
		give_up("mapping failed");
	run.tcs = tiny.base + TINY_TCS * PAGE;
	expect(sgx_enter(&registers, SGX_EENTER, &run), 0, "%s: the vDSO returns",
	       name);
	expect(run.function, SGX_EENTER, "%s: function", name);
	expect(run.exception_vector, vector, "%s: vector", name);
	enclave_destroy(&tiny);
}

#define CHANGE(function, statement) \
	static void function(struct sgx_tcs *tcs) { statement; }

CHANGE(ossa_unaligned, tcs->ossa += 64)
CHANGE(ofsbase_unaligned, tcs->ofsbase = 8)
CHANGE(ogsbase_unaligned, tcs->ogsbase = 8)
CHANGE(flags_reserved, tcs->flags = 1ull << 40)
CHANGE(nssa_zero, tcs->nssa = 0)
CHANGE(oentry_not_canonical, tcs->oentry = 1ull << 62)
CHANGE(ssa_absent, tcs->ossa = TINY_FREE * PAGE)
CHANGE(ssa_read_only, tcs->ossa = TINY_R * PAGE)
CHANGE(ssa_in_tcs, tcs->ossa = TINY_TCS * PAGE)

static void test_tcs_contents(void)
{
	enter_tiny(ossa_unaligned, SGX_VECTOR_GP, "OSSA not aligned");
	enter_tiny(ofsbase_unaligned, SGX_VECTOR_GP, "OFSBASE not aligned");
	enter_tiny(ogsbase_unaligned, SGX_VECTOR_GP, "OGSBASE not aligned");
	enter_tiny(flags_reserved, SGX_VECTOR_GP, "reserved TCS.FLAGS");
	enter_tiny(nssa_zero, SGX_VECTOR_GP, "NSSA zero");
	enter_tiny(oentry_not_canonical, SGX_VECTOR_GP, "OENTRY not canonical");
	enter_tiny(ssa_absent, SGX_VECTOR_PF, "SSA in an absent page");
	enter_tiny(ssa_read_only, SGX_VECTOR_PF, "SSA in a page of r--");
	enter_tiny(ssa_in_tcs, SGX_VECTOR_PF, "SSA in a TCS");
}

static void test_not_initialised(void)
{
	struct enclave tiny;

	tiny_open(&tiny);
	tiny_create(&tiny);
	tiny_add(&tiny);
	if (enclave_map(&tiny))
		give_up("mapping failed");
	expect_enclu_fault(tiny.base + TINY_TCS * PAGE, SGX_EENTER,
			   SGX_VECTOR_GP, "an enclave before INIT");
	enclave_destroy(&tiny);
}

static void test_destroyed(void)
{
	struct enclave tiny;
	uint64_t tcs;

	tiny_open(&tiny);
	tiny_create(&tiny);
	tiny_add(&tiny);
	tiny_sign(&tiny);
	tiny_init(&tiny);
	if (enclave_map(&tiny))
		give_up("mapping failed");
	tcs = tiny.base + TINY_TCS * PAGE;
	enclave_destroy(&tiny);
	expect_enclu_fault(tcs, SGX_EENTER, SGX_VECTOR_PF,
			   "an enclave that is gone");
}

/*
 * The vDSO refuses.
 */

static void test_bad_leaf(void)
{
	static const uint32_t leaves[] = {
		0, 1, 4, 5, 6, 7, 8, 0x80000002, 0xffffffff,
	};
	struct sgx_registers registers = { 0 };
	struct sgx_enclave_run run = { .tcs = e.tcs[0] };
	unsigned int i;

	for (i = 0; i < sizeof(leaves) / sizeof(leaves[0]); i++)
		expect(sgx_enter(&registers, leaves[i], &run), -EINVAL,
		       "leaf 0x%x", leaves[i]);
}

static void test_reserved(void)
{
	struct sgx_registers registers = { 0 };
	struct sgx_enclave_run run = { .tcs = e.tcs[0] };
	unsigned int i, accepted = 0;

	for (i = 0; i < sizeof(run.reserved); i++) {
		run.reserved[i] = 1;
		if (sgx_enter(&registers, SGX_EENTER, &run) != -EINVAL)
			accepted++;
		run.reserved[i] = 0;
	}
	expect(accepted, 0, "each reserved byte of the run structure set");
	expect(sgx_enter(&registers, SGX_EENTER, &run), 0, "and none of them");
}

/*
 * Something inside faults.
 */

static void fault(enum test_ecall ecall, uint64_t rsi, unsigned int vector,
		  unsigned int code, uint64_t address, const char *name)
{
	expect_exception(&e, fresh_thread(&e), ecall, rsi, 0, vector, code,
			 address, name);
}

static void test_faults(void)
{
	uint64_t arena = test_address(&e, PLACE_ARENA);
	uint64_t guard = test_address(&e, PLACE_GUARD);
	uint64_t code = test_address(&e, PLACE_CODE);
	uint64_t constant = test_address(&e, PLACE_CONSTANT);
	uint64_t nothing = (uint64_t)absent_page();
	uint64_t result;

	/* Touched first, so that it is surely in the page tables. */
	test_call(&e, 0, TEST_READ, arena, 0, &result);
	test_call(&e, 0, TEST_READ, constant, 0, &result);

	fault(TEST_DIVIDE, 0, SGX_VECTOR_DE, 0, 0, "division by zero");
	fault(TEST_UD2, 0, SGX_VECTOR_UD, 0, 0, "UD2");
	fault(TEST_READ, guard, SGX_VECTOR_PF, SGX_PF_USER, guard,
	      "read of an absent page");
	fault(TEST_READ, guard + 0x123, SGX_VECTOR_PF, SGX_PF_USER, guard,
	      "read in the middle of an absent page");
	fault(TEST_WRITE, guard, SGX_VECTOR_PF, SGX_PF_USER | SGX_PF_WRITE,
	      guard, "write to an absent page");
	fault(TEST_JUMP, guard, SGX_VECTOR_PF, SGX_PF_USER | SGX_PF_INSTRUCTION,
	      guard, "jump to an absent page");
	fault(TEST_WRITE, code, SGX_VECTOR_PF, SGX_PF_PRESENT | SGX_PF_USER |
	      SGX_PF_WRITE, code & -PAGE, "write to code");
	fault(TEST_WRITE, constant, SGX_VECTOR_PF, SGX_PF_PRESENT |
	      SGX_PF_USER | SGX_PF_WRITE, constant & -PAGE,
	      "write to a constant");
	fault(TEST_JUMP, arena, SGX_VECTOR_PF, SGX_PF_PRESENT | SGX_PF_USER |
	      SGX_PF_INSTRUCTION, arena, "jump to data");
	fault(TEST_READ, nothing, SGX_VECTOR_PF, SGX_PF_USER, nothing,
	      "read of nothing outside");
	fault(TEST_WRITE, nothing, SGX_VECTOR_PF, SGX_PF_USER | SGX_PF_WRITE,
	      nothing, "write to nothing outside");
	fault(TEST_READ, 0, SGX_VECTOR_PF, SGX_PF_USER, 0, "read of NULL");
	fault(TEST_READ, 1ull << 63, SGX_VECTOR_GP, 0, 0,
	      "read of no canonical address");
	fault(TEST_JUMP, nothing, SGX_VECTOR_GP, 0, 0, "jump to nothing outside");
	fault(TEST_JUMP, 1ull << 63, SGX_VECTOR_GP, 0, 0,
	      "jump to no canonical address");
}

/* Instructions that an enclave may not execute. */
static void test_illegal(void)
{
	fault(TEST_CPUID, 0, SGX_VECTOR_UD, 0, 0, "CPUID inside");
	fault(TEST_SYSCALL, 0, SGX_VECTOR_UD, 0, 0, "SYSCALL inside");
	static const char *const names[ILLEGAL_COUNT] = {
		"INT 0x80 inside", "INT 0x21 inside", "SYSENTER inside",
		"IN inside", "OUT inside", "INS inside", "OUTS inside",
		"INT1 inside",
	};

	for (int i = 0; i < ILLEGAL_COUNT; i++)
		fault(TEST_ILLEGAL, i, SGX_VECTOR_UD, 0, 0, names[i]);
	fault(TEST_ENCLU, SGX_EENTER, SGX_VECTOR_GP, 0, 0, "EENTER inside");
	fault(TEST_ENCLU, SGX_ERESUME, SGX_VECTOR_GP, 0, 0, "ERESUME inside");
	fault(TEST_ENCLU, 0x99, SGX_VECTOR_GP, 0, 0, "no such leaf inside");
}

/* Where an EEXIT goes is hardly checked: only whether it can be an address. */
static void test_exit_nowhere(void)
{
	struct sgx_registers registers = {
		.rdi = TEST_ENCLU, .rsi = SGX_EEXIT, .rdx = 1ull << 63,
	};
	struct sgx_enclave_run run = { 0 };

	expect(enclave_enter(&e, fresh_thread(&e), SGX_EENTER, &registers, &run),
	       1, "EEXIT to no canonical address: interrupted");
	expect(run.function, SGX_ERESUME, "EEXIT to no canonical address: function");
	expect(run.exception_vector, SGX_VECTOR_GP,
	       "EEXIT to no canonical address: vector");
}

/* What an exception leaves in the SSA frame, and the way back. */
static void test_saved_state(void)
{
	unsigned int thread = fresh_thread(&e);
	uint64_t code = test_address(&e, PLACE_CODE), own, result = 0;
	struct test_exception seen = { 0 };
	struct sgx_enclave_run run;

	own = e.base + e.config.threads_offset + thread * e.config.thread_size;
	enter(thread, SGX_EENTER, TEST_UD2, 0, &run, &result);
	expect(enter(thread, SGX_EENTER, HANDLE_RECORD, (uint64_t)&seen, &run,
		     &result), 0, "saved state: the handler is entered");
	expect(result, ENCLAVE_EXCEPTION_FIXED, "saved state: the handler ran");
	expect_hex(seen.state.exitinfo, SGX_EXITINFO_VALID |
		   SGX_EXITTYPE_HARDWARE << 8 | SGX_VECTOR_UD,
		   "saved state: EXITINFO");
	expect_true(seen.state.rip - (code & -PAGE) < 4 * PAGE ||
		    (code & -PAGE) - seen.state.rip < 4 * PAGE,
		    "saved state: RIP is in the code");
	expect_true(seen.state.rsp - own < e.config.thread_size,
		    "saved state: RSP is on the thread's stack");
	expect_true(seen.state.fsbase - own < e.config.thread_size &&
		    seen.state.gsbase == seen.state.fsbase,
		    "saved state: FS and GS are the thread's");
	expect_true(seen.state.ursp - (uint64_t)&seen < 8 << 20 ||
		    (uint64_t)&seen - seen.state.ursp < 8 << 20,
		    "saved state: URSP is on the host's stack");
	expect(enter(thread, SGX_EENTER, HANDLE_REFUSE, 0, &run, &result), 0,
	       "saved state: the handler is entered again");
	expect(result, ENCLAVE_EXCEPTION_UNHANDLED, "saved state: it refuses");
	expect(enter(thread, SGX_ERESUME, 0, 0, &run, &result), 1,
	       "saved state: resuming faults again");
	enter(thread, SGX_EENTER, HANDLE_RECOVER, 0, &run, &result);
	expect(enter(thread, SGX_ERESUME, 0, 0, &run, &result), 0,
	       "saved state: after a repair it goes on");
	expect_hex(result, TEST_MAGIC, "saved state: to its end");
	test_call(&e, thread, TEST_NOTHING, 0, 0, &result);
	expect_hex(result, TEST_MAGIC, "saved state: and the TCS is as new");
}

static void test_exinfo(void)
{
	unsigned int thread = fresh_thread(&e);
	uint64_t guard = test_address(&e, PLACE_GUARD), result = 0;
	struct test_exception seen = { 0 };
	struct sgx_enclave_run run;

	if (!(e.secs.miscselect & SGX_MISC_EXINFO)) {
		skip("no MISCSELECT.EXINFO", "EXINFO");
		return;
	}
	enter(thread, SGX_EENTER, TEST_READ, guard + 0x123, &run, &result);
	enter(thread, SGX_EENTER, HANDLE_RECORD, (uint64_t)&seen, &run, &result);
	expect(result, ENCLAVE_EXCEPTION_FIXED, "EXINFO: the handler ran");
	expect_hex(seen.state.exitinfo, SGX_EXITINFO_VALID |
		   SGX_EXITTYPE_HARDWARE << 8 | SGX_VECTOR_PF, "EXINFO: EXITINFO");
	expect_hex(seen.exinfo.maddr & -PAGE, guard, "EXINFO: MADDR");
	expect_hex(seen.exinfo.errcd, SGX_PF_USER, "EXINFO: ERRCD");
}

static sigjmp_buf after_trap;

static void on_trap(int number, siginfo_t *info, void *context)
{
	(void)info;
	(void)context;
	siglongjmp(after_trap, number);
}

/* After an opt-out entry a breakpoint is nothing but an invalid opcode. */
static void test_breakpoint(void)
{
	struct sigaction action = {
		.sa_sigaction = on_trap, .sa_flags = SA_SIGINFO,
	};

	sigaction(SIGTRAP, &action, NULL);
	if (!sigsetjmp(after_trap, 1))
		expect_exception(&e, fresh_thread(&e), TEST_INT3, 0, 0,
				 SGX_VECTOR_UD, 0, 0, "INT3 inside");
	else
		expect_true(false, "INT3 inside: no SIGTRAP");
	signal(SIGTRAP, SIG_DFL);
}

/*
 * Registers.
 */

static void test_registers_in(void)
{
	struct test_registers seen = { 0 };
	struct sgx_registers registers = {
		.rdi = TEST_REGISTERS, .rsi = (uint64_t)&seen,
		.rdx = 0x1111, .r8 = 0x8888, .r9 = 0x9999, .r10 = 0x10101010,
		.r11 = 0x11111111, .r12 = 0x12121212, .r13 = 0x13131313,
		.r14 = 0x14141414, .r15 = 0x15151515,
	};
	struct sgx_enclave_run run = { 0 };

	expect(enclave_enter(&e, 0, SGX_EENTER, &registers, &run), 0,
	       "registers: ECALL");
	expect_hex(seen.frame.rax, 0, "registers: RAX is CSSA");
	expect_hex(seen.frame.rbx, e.tcs[0], "registers: RBX is the TCS");
	expect_true(seen.frame.rcx - e.base >= e.size,
		    "registers: RCX is an address outside");
	expect_hex(seen.frame.rdi, TEST_REGISTERS, "registers: RDI");
	expect_hex(seen.frame.rsi, (uint64_t)&seen, "registers: RSI");
	expect_hex(seen.frame.rdx, 0x1111, "registers: RDX");
	expect_hex(seen.frame.r8, 0x8888, "registers: R8");
	expect_hex(seen.frame.r9, 0x9999, "registers: R9");
	expect_hex(seen.frame.r10, 0x10101010, "registers: R10");
	expect_hex(seen.frame.r11, 0x11111111, "registers: R11");
	expect_hex(seen.frame.r12, 0x12121212, "registers: R12");
	expect_hex(seen.frame.r13, 0x13131313, "registers: R13");
	expect_hex(seen.frame.r14, 0x14141414, "registers: R14");
	expect_hex(seen.frame.r15, 0x15151515, "registers: R15");
	expect_true((uint64_t)&seen - seen.frame.rsp < 1 << 16,
		    "registers: RSP is the host's");
	expect_true(seen.frame.rbp - seen.frame.rsp < 256,
		    "registers: RBP is the vDSO's frame");
	expect_hex(seen.frame.mxcsr, 0x1f80, "registers: MXCSR");
	expect_hex(registers.r10, 0, "registers: R10 is scrubbed");
	expect_hex(registers.r12, 0x12121212, "registers: R12 comes back");
	expect_hex(registers.r15, 0x15151515, "registers: R15 comes back");
}

static void test_registers_out(void)
{
	struct test_return values = { 0x111, 0x222, 0x333, 0x444, 0x555 };
	struct sgx_registers registers = {
		.rdi = TEST_RETURN, .rsi = (uint64_t)&values,
	};
	struct sgx_enclave_run run = { 0 };

	enclave_enter(&e, 0, SGX_EENTER, &registers, &run);
	expect_hex(registers.rdi, 0x111, "results: RDI");
	expect_hex(registers.rsi, 0x222, "results: RSI");
	expect_hex(registers.rdx, 0x333, "results: RDX");
	expect_hex(registers.r8, 0x444, "results: R8");
	expect_hex(registers.r9, 0x555, "results: R9");
	expect(run.function, SGX_EEXIT, "results: function");
	expect(run.exception_vector, 0, "results: no exception");
}

/* The direction flag, set by the host when it enters. */
int enter_with_df(struct sgx_registers *registers, uint32_t leaf,
		  struct sgx_enclave_run *run);

asm(".text\n"
    "enter_with_df:\n"
    "	std\n"
    "	jmp	sgx_enter\n");

static void test_df_in(void)
{
	struct test_registers seen = { 0 };
	struct sgx_registers registers = {
		.rdi = TEST_REGISTERS, .rsi = (uint64_t)&seen,
	};
	struct sgx_enclave_run run = { .tcs = e.tcs[0] };

	expect(enter_with_df(&registers, SGX_EENTER, &run), 0,
	       "DF set on entry: ECALL");
	expect_hex(registers.rdi, TEST_MAGIC, "DF set on entry: result");
	expect_hex(seen.frame.rflags & RFLAGS_DF, RFLAGS_DF,
		   "DF set on entry: the enclave sees it");
}

static uint64_t get_base(int code)
{
	uint64_t base = 0;

	syscall(SYS_arch_prctl, code, &base);
	return base;
}

static void expect_bases(uint64_t fs, uint64_t gs, const char *when)
{
	expect_hex(get_base(ARCH_GET_FS), fs, "FS outside after %s", when);
	expect_hex(get_base(ARCH_GET_GS), gs, "GS outside after %s", when);
}

static void test_segments(void)
{
	struct test_registers seen = { 0 };
	uint64_t fs = get_base(ARCH_GET_FS), result = 0;
	uint64_t gs = (uint64_t)ordinary_page();
	struct sgx_enclave_run run;
	unsigned int thread;

	syscall(SYS_arch_prctl, ARCH_SET_GS, gs);
	test_call(&e, 0, TEST_REGISTERS, (uint64_t)&seen, 0, &result);
	expect_hex(result, TEST_MAGIC, "segments: ECALL");
	expect_hex(seen.fs_self, seen.thread, "segments: FS leads to the thread");
	expect_hex(seen.gs_self, seen.thread, "segments: GS leads to the thread");
	expect_hex(seen.fs_base, seen.thread, "segments: RDFSBASE");
	expect_hex(seen.gs_base, seen.thread, "segments: RDGSBASE");
	expect_bases(fs, gs, "an ECALL");

	thread = fresh_thread(&e);
	enter(thread, SGX_EENTER, TEST_UD2, 0, &run, &result);
	expect_bases(fs, gs, "an exception");
	enter(thread, SGX_EENTER, HANDLE_RECOVER, 0, &run, &result);
	expect_bases(fs, gs, "an exception handler");
	enter(thread, SGX_ERESUME, 0, 0, &run, &result);
	expect_hex(result, TEST_MAGIC, "segments: the ECALL goes on");
	expect_bases(fs, gs, "ERESUME");
	syscall(SYS_arch_prctl, ARCH_SET_GS, 0);
}

/*
 * The user handler.
 */

static struct handler_call {
	unsigned int calls;
	long rdi, rsi, rdx, rsp, r8, r9;
	uint32_t function;
	uint16_t vector;
	uint64_t flags;
	bool aligned;
	int returns;
} last;

static int user_handler(long rdi, long rsi, long rdx, long rsp, long r8, long r9,
			struct sgx_enclave_run *run)
{
	last.flags = __builtin_ia32_readeflags_u64();
	last.calls++;
	last.rdi = rdi;
	last.rsi = rsi;
	last.rdx = rdx;
	last.rsp = rsp;
	last.r8 = r8;
	last.r9 = r9;
	last.function = run->function;
	last.vector = run->exception_vector;
	last.aligned = (uint64_t)__builtin_frame_address(0) % 16 == 0;
	return last.returns;
}

static int handled(unsigned int thread, uint64_t rdi, uint64_t rsi, int returns,
		   struct sgx_registers *registers)
{
	struct sgx_enclave_run run = {
		.tcs = e.tcs[thread], .user_handler = (uint64_t)user_handler,
	};

	*registers = (struct sgx_registers){ .rdi = rdi, .rsi = rsi };
	last = (struct handler_call){ .returns = returns };
	return sgx_enter(registers, SGX_EENTER, &run);
}

static void test_handler_calls(void)
{
	struct test_return values = { 0x111, 0x222, 0x333, 0x444, 0x555 };
	struct sgx_registers registers;

	expect(handled(0, TEST_RETURN, (uint64_t)&values, 0, &registers), 0,
	       "handler: returns 0");
	expect(last.calls, 1, "handler: called once");
	expect(last.function, SGX_EEXIT, "handler: function");
	expect_hex(last.rdi, 0x111, "handler: RDI");
	expect_hex(last.rsi, 0x222, "handler: RSI");
	expect_hex(last.rdx, 0x333, "handler: RDX");
	expect_hex(last.r8, 0x444, "handler: R8");
	expect_hex(last.r9, 0x555, "handler: R9");
	expect_true((uint64_t)&registers - (uint64_t)last.rsp < 1 << 16,
		    "handler: RSP is the host's");
	expect_true(last.aligned, "handler: its stack is aligned");

	expect(handled(0, TEST_NOTHING, 0, -5, &registers), -5,
	       "handler: returns -5");
	expect(handled(0, TEST_NOTHING, 0, -EINVAL, &registers), -EINVAL,
	       "handler: returns -EINVAL");
	expect(handled(0, TEST_NOTHING, 0, 1, &registers), -EINVAL,
	       "handler: returns 1, which is no leaf to enter by");
	expect(handled(0, TEST_NOTHING, 0, SGX_EEXIT, &registers), -EINVAL,
	       "handler: returns 4, neither");
	expect(last.calls, 1, "handler: not called for a refusal");
	expect(handled(0, TEST_EXIT_DF, 0, 0, &registers), 0,
	       "handler: exit with DF set");
	expect_hex(last.flags & RFLAGS_DF, 0, "handler: DF is clear");
}

static void test_handler_exception(void)
{
	unsigned int thread = fresh_thread(&e);
	struct sgx_registers registers;

	expect(handled(thread, TEST_UD2, 0, 0, &registers), 0,
	       "handler: an exception, returns 0");
	expect(last.calls, 1, "handler: an exception, called once");
	expect(last.function, SGX_ERESUME, "handler: an exception, function");
	expect(last.vector, SGX_VECTOR_UD, "handler: an exception, vector");
	expect(handled(thread + 100, TEST_NOTHING, 0, 0, &registers), 0,
	       "handler: EENTER of no TCS, returns 0");
	expect(last.function, SGX_EENTER, "handler: EENTER of no TCS, function");
}

static int give_page_back(long rdi, long rsi, long rdx, long rsp, long r8,
			  long r9, struct sgx_enclave_run *run)
{
	(void)rdi;
	(void)rsi;
	(void)rdx;
	(void)rsp;
	(void)r8;
	(void)r9;
	last.calls++;
	if (run->function == SGX_EEXIT)
		return 0;
	mprotect((void *)run->user_data, PAGE, PROT_READ | PROT_WRITE);
	return SGX_ERESUME;
}

/* An exception repaired and resumed without leaving the vDSO's function. */
static void test_handler_resumes(void)
{
	uint64_t arena = test_address(&e, PLACE_ARENA), result = 0;
	struct sgx_enclave_run run = {
		.tcs = e.tcs[0], .user_handler = (uint64_t)give_page_back,
		.user_data = arena,
	};
	struct sgx_registers registers = {
		.rdi = TEST_WRITE, .rsi = arena, .rdx = 4711,
	};

	last.calls = 0;
	mprotect((void *)arena, PAGE, PROT_NONE);
	expect(sgx_enter(&registers, SGX_EENTER, &run), 0,
	       "handler: gives a page back and resumes");
	expect(last.calls, 2, "handler: called for the fault and for the exit");
	expect(run.function, SGX_EEXIT, "handler: in the end an exit");
	expect_true(test_call(&e, 0, TEST_READ, arena, 0, &result),
		    "handler: the page is readable");
	expect(result, 4711, "handler: the write took place");
}

/* Enters again until the enclave's counter has been raised three times. */
int enter_again(long rdi, long rsi, long rdx, long rsp, long r8, long r9,
		struct sgx_enclave_run *run);

asm(".text\n"
    "enter_again:\n"
    "	mov	8(%rsp), %rcx\n"
    "	xor	%eax, %eax\n"
    "	decq	32(%rcx)\n"		/* user_data */
    "	jz	1f\n"
    "	mov	$2, %eax\n"		/* EENTER */
    "	mov	$18, %edi\n"		/* TEST_INCREMENT */
    "1:	ret\n");

_Static_assert(TEST_INCREMENT == 18, "the assembly above");

static void test_handler_enters(void)
{
	struct sgx_enclave_run run = {
		.tcs = e.tcs[0], .user_handler = (uint64_t)enter_again,
		.user_data = 3,
	};
	struct sgx_registers registers = { .rdi = TEST_INCREMENT };

	expect(sgx_enter(&registers, SGX_EENTER, &run), 0,
	       "handler: enters again");
	expect(registers.rdi, 3, "handler: the enclave counted to three");
}

static sigjmp_buf out_of_handler;

static int jump_out(long rdi, long rsi, long rdx, long rsp, long r8, long r9,
		    struct sgx_enclave_run *run)
{
	(void)rdi;
	(void)rsi;
	(void)rdx;
	(void)rsp;
	(void)r8;
	(void)r9;
	(void)run;
	siglongjmp(out_of_handler, 1);
}

static void test_handler_jumps(void)
{
	struct sgx_enclave_run run = {
		.tcs = e.tcs[0], .user_handler = (uint64_t)jump_out,
	};
	struct sgx_registers registers = { .rdi = TEST_NOTHING };
	uint64_t result = 0;

	if (!sigsetjmp(out_of_handler, 1)) {
		sgx_enter(&registers, SGX_EENTER, &run);
		expect_true(false, "handler: jumps out");
	}
	test_call(&e, 0, TEST_NOTHING, 0, 0, &result);
	expect_hex(result, TEST_MAGIC, "handler: an ECALL after jumping out");
}

int main(void)
{
	test_enclave(&e, NULL);
	test_tcs_address();
	test_tcs_state();
	test_busy();
	test_nssa();
	test_tcs_contents();
	test_not_initialised();
	test_destroyed();
	test_bad_leaf();
	test_reserved();
	test_faults();
	test_illegal();
	test_exit_nowhere();
	test_saved_state();
	test_exinfo();
	test_breakpoint();
	test_registers_in();
	test_registers_out();
	test_df_in();
	test_segments();
	test_handler_calls();
	test_handler_exception();
	test_handler_resumes();
	test_handler_enters();
	test_handler_jumps();
	enclave_destroy(&e);
	return done();
}
