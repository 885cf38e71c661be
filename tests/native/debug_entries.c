// SPDX-License-Identifier: Apache-2.0
/*
 * A debugger of its own enclave: sets TCS.FLAGS.DBGOPTIN through
 * /proc/self/mem, steps, and sets breakpoints. After an entry by another TCS,
 * an opt-out entry, none of that is seen.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/perf_event.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include "raw.h"
#include "support.h"

#define FLAG_TF (1u << 8)
#define FLAG_RF (1u << 16)
#define TRAP_PERF_CODE 6
#define STEPS 5000

static struct enclave e;
static int memory;
static sigjmp_buf out;
static uint64_t opted_in, opted_out;	/* two TCS */

static struct {
	volatile unsigned int calls, inside;
	volatile int number, code;
	volatile uint64_t address, rip, flags;
	const char *volatile flaw;
	volatile uint64_t steps[STEPS];
} seen;

static uint64_t read_word(uint64_t address)
{
	uint64_t value = 0;

	if (pread(memory, &value, 8, address) != 8)
		give_up("the debugger cannot read");
	return value;
}

static void write_word(uint64_t address, uint64_t value)
{
	if (pwrite(memory, &value, 8, address) != 8)
		give_up("the debugger cannot write");
}

/* The GPRSGX that the last exit by a TCS filled. Safe in handlers. */
static uint64_t frame_of(uint64_t tcs)
{
	uint64_t cssa = read_word(tcs + 24) & 0xffffffff;
	uint64_t size = e.secs.ssa_frame_pages * PAGE;

	return e.base + read_word(tcs + 16) + cssa * size -
	       sizeof(struct sgx_gprsgx);
}

#define FIELD(tcs, name)						\
	(frame_of(tcs) + offsetof(struct sgx_gprsgx, name))

static uint64_t saved_rip(uint64_t tcs)
{
	return read_word(FIELD(tcs, rip));
}

static uint64_t saved_flags(uint64_t tcs)
{
	return read_word(FIELD(tcs, rflags));
}

static uint32_t exit_info(uint64_t tcs)
{
	return read_word(FIELD(tcs, exitinfo));
}

static void note(int number, const siginfo_t *info, const ucontext_t *context)
{
	const greg_t *g = context->uc_mcontext.gregs;

	seen.number = number;
	seen.code = info->si_code;
	seen.address = (uint64_t)info->si_addr;
	seen.rip = g[REG_RIP];
	seen.flags = g[REG_EFL];
	seen.calls++;
}

static void forget(void)
{
	memset(&seen, 0, sizeof(seen));
}

static void handle(int signal, void (*handler)(int, siginfo_t *, void *))
{
	struct sigaction action = {
		.sa_sigaction = handler, .sa_flags = SA_SIGINFO,
	};

	sigaction(signal, &action, NULL);
}

static void jump(int number, siginfo_t *info, void *context)
{
	note(number, info, context);
	seen.flaw = raw_flaw(context, opted_in, e.secs.xfrm);
	siglongjmp(out, 1);
}

/* An ECALL that ends in a signal, and what the enclave's frame says of it. */
static void interrupted(uint64_t tcs, enum test_ecall ecall, uint64_t rsi)
{
	forget();
	if (!sigsetjmp(out, 1)) {
		raw_enclu(SGX_EENTER, tcs, raw_aep, ecall, rsi, 0);
		expect_true(false, "ECALL %d came back", ecall);
	}
}

static void recover(uint64_t tcs, const char *name)
{
	raw_enclu(SGX_EENTER, tcs, raw_aep, HANDLE_RECOVER, 0, 0);
	expect_hex(raw_enclu(SGX_ERESUME, tcs, raw_aep, 0, 0, 0), TEST_MAGIC,
		   "%s: goes on behind it", name);
}

static void expect_exit(uint64_t tcs, int vector, int type, int signal,
			int code, const char *name)
{
	expect(seen.number, signal, "%s: signal", name);
	expect(seen.code, code, "%s: si_code", name);
	expect_hex(seen.rip, (uint64_t)raw_aep, "%s: RIP is the AEP", name);
	expect_hex(seen.flags & FLAG_RF, 0, "%s: RF is clear outside", name);
	expect_hex(exit_info(tcs), SGX_EXITINFO_VALID | type << 8 | vector,
		   "%s: EXITINFO", name);
}

static uint8_t byte_at(uint64_t address)
{
	uint8_t byte = 0;

	return pread(memory, &byte, 1, address) == 1 ? byte : 0;
}

/* INT3 and INT1: faults, and legal after an opt-in entry. */
static void test_breakpoints(void)
{
	handle(SIGTRAP, jump);
	handle(SIGILL, jump);
	interrupted(opted_in, TEST_INT3, 0);
	expect_exit(opted_in, 3, SGX_EXITTYPE_SOFTWARE, SIGTRAP, SI_KERNEL,
		    "INT3, opt-in");
	expect_true(!seen.flaw, "INT3, opt-in: an asynchronous exit");
	expect_hex(byte_at(saved_rip(opted_in)), 0xcc,
		   "INT3, opt-in: the saved RIP is the instruction's");
	recover(opted_in, "INT3, opt-in");

	interrupted(opted_out, TEST_INT3, 0);
	expect_exit(opted_out, 6, SGX_EXITTYPE_HARDWARE, SIGILL, ILL_ILLOPN,
		    "INT3, opt-out");
	expect_hex(byte_at(saved_rip(opted_out)), 0xcc,
		   "INT3, opt-out: the saved RIP is the instruction's");
	expect_hex(saved_flags(opted_out) & FLAG_RF, FLAG_RF,
		   "INT3, opt-out: RF is set inside");
	recover(opted_out, "INT3, opt-out");

	interrupted(opted_in, TEST_ILLEGAL, ILLEGAL_INT1);
	expect_exit(opted_in, 1, SGX_EXITTYPE_HARDWARE, SIGTRAP, TRAP_BRKPT,
		    "INT1, opt-in");
	expect_hex(byte_at(saved_rip(opted_in)), 0xf1,
		   "INT1, opt-in: the saved RIP is the instruction's");
	recover(opted_in, "INT1, opt-in");

	interrupted(opted_out, TEST_ILLEGAL, ILLEGAL_INT1);
	expect_exit(opted_out, 6, SGX_EXITTYPE_HARDWARE, SIGILL, ILL_ILLOPN,
		    "INT1, opt-out");
	expect_hex(byte_at(saved_rip(opted_out)), 0xf1,
		   "INT1, opt-out: the saved RIP is the instruction's");
	recover(opted_out, "INT1, opt-out");
	signal(SIGILL, SIG_DFL);
}

/* What debuggers do: put INT3 into code, stop there, put the byte back. */
static void test_inserted(void)
{
	uint64_t code = test_address(&e, PLACE_CODE);
	uint8_t byte = byte_at(code), int3 = 0xcc;

	handle(SIGTRAP, jump);
	expect(pwrite(memory, &int3, 1, code), 1, "inserted: INT3 into code");
	interrupted(opted_in, TEST_NOTHING, 0);
	expect(seen.number, SIGTRAP, "inserted: signal");
	expect_hex(saved_rip(opted_in), code, "inserted: the saved RIP");
	expect(pwrite(memory, &byte, 1, code), 1, "inserted: taken out again");
	expect_hex(raw_enclu(SGX_ERESUME, opted_in, raw_aep, 0, 0, 0),
		   TEST_MAGIC, "inserted: the ECALL goes on");
}

/* Single steps from EENTER to EEXIT. */
static void step(int number, siginfo_t *info, void *context)
{
	ucontext_t *c = context;

	note(number, info, c);
	if (seen.rip != (uint64_t)raw_aep) {
		c->uc_mcontext.gregs[REG_EFL] &= ~FLAG_TF;
		return;
	}
	if (saved_flags(opted_in) & (FLAG_TF | FLAG_RF) ||
	    exit_info(opted_in) != (SGX_EXITINFO_VALID |
				    SGX_EXITTYPE_HARDWARE << 8 | 1) ||
	    raw_flaw(c, opted_in, e.secs.xfrm) || seen.flags & FLAG_RF ||
	    seen.code != TRAP_TRACE || seen.address != (uint64_t)raw_aep)
		seen.flaw = "a step";
	if (!(seen.flags & FLAG_TF))	/* the enclave executed POPF */
		c->uc_mcontext.gregs[REG_EFL] |= FLAG_TF;
	if (seen.inside < STEPS)
		seen.steps[seen.inside++] = saved_rip(opted_in);
	else
		c->uc_mcontext.gregs[REG_EFL] &= ~FLAG_TF;
}

static void test_steps(void)
{
	uint64_t result;
	unsigned int i, stuck = 0, within = 0;

	handle(SIGTRAP, step);
	forget();
	raw_flags_in = 2 | FLAG_TF;
	result = raw_enclu(SGX_EENTER, opted_in, raw_aep, TEST_NOTHING, 0, 0);
	raw_flags_in = 2;
	expect_hex(result, TEST_MAGIC, "steps: an ECALL");
	expect_hex(seen.steps[0], e.base + read_word(opted_in + 32),
		   "steps: the first one ends at the entry point");
	for (i = 1; i < seen.inside; i++)
		stuck += seen.steps[i] == seen.steps[i - 1];
	for (i = 0; i < seen.inside; i++)
		within += seen.steps[i] - e.base < e.size;
	expect_true(seen.inside > 20 && seen.inside < STEPS,
		    "steps: there are some inside");
	expect(within, seen.inside, "steps: their RIPs lie inside");
	expect(stuck, 0, "steps: each makes progress");
	expect_true(!seen.flaw, "steps: each is an asynchronous exit by #DB");
	expect(seen.calls, seen.inside + 1, "steps: one outside");
	expect_hex(seen.rip, (uint64_t)raw_enclu_instruction + 3,
		   "steps: it ends behind EEXIT");
	expect_hex(raw_flags_out & FLAG_TF, 0, "steps: the handler ended them");

	forget();
	raw_flags_in = 2 | FLAG_TF;
	result = raw_enclu(SGX_EENTER, opted_out, raw_aep, TEST_NOTHING, 0, 0);
	raw_flags_in = 2;
	expect_hex(result, TEST_MAGIC, "steps, opt-out: an ECALL");
	expect(seen.inside, 0, "steps, opt-out: none inside");
	expect(seen.calls, 1, "steps, opt-out: one outside");
}

/* A few steps, and then on without. */
static unsigned int stop_after;

static void step_some(int number, siginfo_t *info, void *context)
{
	note(number, info, context);
	if (seen.calls >= stop_after)
		((ucontext_t *)context)->uc_mcontext.gregs[REG_EFL] &= ~FLAG_TF;
}

static void test_some_steps(void)
{
	handle(SIGTRAP, step_some);
	for (stop_after = 1; stop_after < 8; stop_after++) {
		forget();
		raw_flags_in = 2 | FLAG_TF;
		expect_hex(raw_enclu(SGX_EENTER, opted_in, raw_aep,
				     TEST_NOTHING, 0, 0), TEST_MAGIC,
			   "%u steps: an ECALL", stop_after);
		raw_flags_in = 2;
		expect(seen.calls, stop_after, "%u steps: and no more",
		       stop_after);
	}
}

/* TF that the enclave sets itself. */
static void test_trap_flag(void)
{
	handle(SIGTRAP, step_some);
	stop_after = 1;
	forget();
	expect_hex(raw_enclu(SGX_EENTER, opted_in, raw_aep, TEST_TRAP_FLAG, 0,
			     0) & FLAG_TF, 0, "POPF, opt-in: ERESUME without TF");
	expect(seen.calls, 1, "POPF, opt-in: one step");
	expect_hex(seen.flags & FLAG_TF, FLAG_TF,
		   "POPF, opt-in: TF is seen outside");
	expect_hex(seen.rip, (uint64_t)raw_aep, "POPF, opt-in: at the AEP");

	stop_after = 4;		/* NOP, PUSHFQ, POP, one more */
	forget();
	expect_hex(raw_enclu(SGX_EENTER, opted_in, raw_aep, TEST_TRAP_FLAG, 0,
			     0) & FLAG_TF, FLAG_TF,
		   "POPF, opt-in: ERESUME with TF");
	expect(seen.calls, 4, "POPF, opt-in: four steps");

	forget();
	expect_hex(raw_enclu(SGX_EENTER, opted_out, raw_aep, TEST_TRAP_FLAG, 0,
			     0) & FLAG_TF, 0, "POPF, opt-out: cannot set TF");
	expect(seen.calls, 0, "POPF, opt-out: no step");
}

/* RF inside: set by faults, not by interruptions; clear outside. */
static struct test_wait waiting;

static void let_go(int number, siginfo_t *info, void *context)
{
	note(number, info, context);
	if (seen.rip == (uint64_t)raw_aep) {
		waiting.leave = 1;
		seen.steps[0] = saved_flags(opted_out);
	} else {
		alarm(1);
	}
}

static void test_resume_flag(void)
{
	handle(SIGSEGV, jump);
	handle(SIGFPE, jump);
	interrupted(opted_out, TEST_READ, 1ull << 63);
	expect_hex(saved_flags(opted_out) & FLAG_RF, FLAG_RF, "RF: #GP");
	expect_hex(seen.flags & FLAG_RF, 0, "RF: #GP, outside");
	raw_enclu(SGX_EENTER, opted_out, raw_aep, HANDLE_RECOVER, 0, 0);
	raw_enclu(SGX_ERESUME, opted_out, raw_aep, 0, 0, 0);
	interrupted(opted_out, TEST_WRITE, test_address(&e, PLACE_CODE));
	expect_hex(saved_flags(opted_out) & FLAG_RF, FLAG_RF, "RF: #PF");
	raw_enclu(SGX_EENTER, opted_out, raw_aep, HANDLE_RECOVER, 0, 0);
	raw_enclu(SGX_ERESUME, opted_out, raw_aep, 0, 0, 0);
	interrupted(opted_out, TEST_DIVIDE, 0);
	expect_hex(saved_flags(opted_out) & FLAG_RF, FLAG_RF, "RF: #DE");
	recover(opted_out, "RF: #DE");
	handle(SIGILL, jump);
	interrupted(opted_out, TEST_SYSCALL, 0);
	expect_hex(saved_flags(opted_out) & FLAG_RF, FLAG_RF, "RF: SYSCALL");
	recover(opted_out, "RF: SYSCALL");
	interrupted(opted_out, TEST_ENCLU, SGX_EENTER);
	expect_hex(saved_flags(opted_out) & FLAG_RF, FLAG_RF,
		   "RF: a leaf that faults");
	raw_enclu(SGX_EENTER, opted_out, raw_aep, HANDLE_RECOVER, 0, 0);
	raw_enclu(SGX_ERESUME, opted_out, raw_aep, 0, 0, 0);
	signal(SIGSEGV, SIG_DFL);
	signal(SIGFPE, SIG_DFL);
	signal(SIGILL, SIG_DFL);

	forget();
	memset(&waiting, 0, sizeof(waiting));
	handle(SIGALRM, let_go);
	alarm(1);
	expect_hex(raw_enclu(SGX_EENTER, opted_out, raw_aep, TEST_SPIN_UNTIL,
			     (uint64_t)&waiting, 0), TEST_MAGIC,
		   "RF: an ECALL that is interrupted");
	expect_hex(seen.steps[0] & FLAG_RF, 0, "RF: an interruption");
	signal(SIGALRM, SIG_DFL);
}

/* Breakpoint registers, as far as perf gives them. */
static volatile uint64_t ordinary;

static void count(int number, siginfo_t *info, void *context)
{
	note(number, info, context);
	if (seen.rip == (uint64_t)raw_aep)
		seen.inside++;
}

static int watch(uint64_t address, int access)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_BREAKPOINT, .size = sizeof(attr),
		.bp_type = access, .bp_addr = address, .bp_len = 8,
		.sample_period = 1, .exclude_kernel = 1, .exclude_hv = 1,
		.sigtrap = 1, .remove_on_exec = 1,
	};

	return syscall(SYS_perf_event_open, &attr, 0, -1, -1,
		       PERF_FLAG_FD_CLOEXEC);
}

static void watched(uint64_t tcs, uint64_t address, bool hits, const char *name)
{
	int fd = watch(address, 2 /* HW_BREAKPOINT_W */);

	if (fd < 0) {
		skip("perf gives no breakpoint registers", "%s", name);
		return;
	}
	forget();
	expect_hex(raw_enclu(SGX_EENTER, tcs, raw_aep, TEST_WRITE, address, 7),
		   TEST_MAGIC, "%s: an ECALL", name);
	expect(seen.calls, hits, "%s: signals", name);
	if (hits) {
		expect(seen.code, TRAP_PERF_CODE, "%s: si_code", name);
		expect(seen.inside, 1, "%s: at the AEP", name);
		expect_hex(seen.address, address, "%s: si_addr", name);
	}
	close(fd);
}

static void test_data_breakpoints(void)
{
	uint64_t arena = test_address(&e, PLACE_ARENA);

	handle(SIGTRAP, count);
	watched(opted_in, arena, true, "data inside, opt-in");
	watched(opted_out, arena, false, "data inside, opt-out");
	watched(opted_in, (uint64_t)&ordinary, true, "data outside, opt-in");
	watched(opted_out, (uint64_t)&ordinary, true, "data outside, opt-out");
}

int main(void)
{
	struct enclave_options options = { .debug = true, .exinfo = true };
	int i;

	memory = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
	test_enclave(&e, &options);
	opted_in = e.tcs[fresh_thread(&e)];
	opted_out = e.tcs[fresh_thread(&e)];
	for (i = 0; i < 10; i++)	/* opted out at first, both of them */
		raw_enclu(SGX_EENTER, i % 2 ? opted_in : opted_out, raw_aep,
			  TEST_NOTHING, 0, 0);
	write_word(opted_in + 8, SGX_TCS_DBGOPTIN);
	test_breakpoints();
	test_inserted();
	test_steps();
	test_some_steps();
	test_trap_flag();
	test_resume_flag();
	test_data_breakpoints();
	enclave_destroy(&e);
	return done();
}
