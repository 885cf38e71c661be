// SPDX-License-Identifier: Apache-2.0
/*
 * Signals without the vDSO: whatever interrupts the enclave is an asynchronous
 * exit to our own AEP, the handler sees the exit's state and none of the
 * enclave's, and the enclave goes on as if nothing had been.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include "raw.h"
#include "support.h"

#define ROUNDS 30000000ull

static struct enclave e;
static unsigned int thread;		/* whose TCS is in use */
static struct test_wait inside;

static struct {
	volatile unsigned int calls;	/* at the AEP */
	volatile unsigned int elsewhere;
	volatile int code;
	const char *volatile flaw;
	volatile uint64_t stack, address;
	volatile int values[8];
} seen;

static uint64_t enter(unsigned int on, uint64_t rdi, uint64_t rsi, uint64_t rdx)
{
	return raw_enclu(SGX_EENTER, e.tcs[on], raw_aep, rdi, rsi, rdx);
}

static void forget(void)
{
	memset(&seen, 0, sizeof(seen));
	memset(&inside, 0, sizeof(inside));
}

static void handle(int signal, void (*handler)(int, siginfo_t *, void *),
		   int flags)
{
	struct sigaction action = {
		.sa_sigaction = handler, .sa_flags = SA_SIGINFO | flags,
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

/* What a program says of a signal. */
enum how { DEFAULT, IGNORED, BLOCKED };

static timer_t timer_of(int signal)
{
	struct sigevent event = {
		.sigev_notify = SIGEV_SIGNAL, .sigev_signo = signal,
	};
	timer_t timer;

	if (timer_create(CLOCK_MONOTONIC, &event, &timer))
		give_up("no timer");
	return timer;
}

/* Once after a while, or again and again. */
static void start(timer_t timer, long microseconds, bool again)
{
	struct itimerspec at = { .it_value.tv_nsec = microseconds * 1000 };

	if (again)
		at.it_interval = at.it_value;
	timer_settime(timer, 0, &at, NULL);
}

static timer_t timer;

static bool note(siginfo_t *info, void *context)
{
	const greg_t *g = ((ucontext_t *)context)->uc_mcontext.gregs;
	char here;

	if (g[REG_RIP] != (greg_t)raw_aep) {
		seen.elsewhere++;
		return false;
	}
	seen.calls++;
	seen.code = info->si_code;
	seen.address = (uint64_t)info->si_addr;
	seen.stack = (uint64_t)&here;
	if (!seen.flaw)
		seen.flaw = raw_flaw(context, e.tcs[thread], e.secs.xfrm);
	return true;
}

/* The enclave holds its registers until a signal has come. */
static void let_go(int number, siginfo_t *info, void *context)
{
	(void)number;
	if (note(info, context))
		inside.leave = 1;
	else
		start(timer, 2000, false);
}

static void expect_held(int signal, int flags, const char *name)
{
	forget();
	handle(signal, let_go, flags);
	timer = timer_of(signal);
	start(timer, 2000, false);
	expect_hex(enter(thread, TEST_HOLD_STATE, (uint64_t)&inside, 0),
		   TEST_MAGIC, "%s: the enclave keeps its registers", name);
	timer_delete(timer);
	expect(seen.calls, 1, "%s: one call of the handler", name);
	expect(seen.code, SI_TIMER, "%s: si_code", name);
	expect_no_flaw(name);
	handle(signal, (void *)SIG_DFL, 0);
}

static void test_each_signal(void)
{
	static const struct {
		int number;
		const char *name;
	} signals[] = {
		{ SIGTERM, "SIGTERM" }, { SIGCONT, "SIGCONT" },
		{ SIGALRM, "SIGALRM" }, { SIGUSR1, "SIGUSR1" },
		{ SIGCHLD, "SIGCHLD" }, { SIGTSTP, "SIGTSTP" },
		{ SIGSEGV, "a SIGSEGV sent" }, { SIGILL, "a SIGILL sent" },
		{ SIGFPE, "a SIGFPE sent" }, { SIGBUS, "a SIGBUS sent" },
		{ SIGTRAP, "a SIGTRAP sent" }, { 40, "a real-time signal" },
	};
	unsigned int i;

	for (i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		expect_held(signals[i].number, 0, signals[i].name);
	signal(SIGCONT, SIG_DFL);
}

static void test_alternate_stack(void)
{
	static uint8_t memory[65536] __attribute__((aligned(16)));
	stack_t stack = { .ss_sp = memory, .ss_size = sizeof(memory) }, none = {
		.ss_flags = SS_DISABLE,
	};

	sigaltstack(&stack, NULL);
	expect_held(SIGALRM, SA_ONSTACK, "alternate stack");
	expect_true(seen.stack - (uint64_t)memory < sizeof(memory),
		    "alternate stack: the handler runs there");
	sigaltstack(&none, NULL);
}

/* The handler is interrupted in another ECALL of its own. */
static struct test_wait inner;
static unsigned int depth;

static void nest(int number, siginfo_t *info, void *context)
{
	(void)number;
	(void)info;
	if (((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP] !=
	    (greg_t)raw_aep) {
		start(timer, 2000, false);
		return;
	}
	if (depth++) {
		inner.leave = 1;
		return;
	}
	start(timer, 2000, false);
	expect_hex(enter(1, TEST_HOLD_STATE, (uint64_t)&inner, 0), TEST_MAGIC,
		   "nested: the ECALL of the handler");
	inside.leave = 1;
}

static void test_nested(void)
{
	forget();
	handle(SIGALRM, nest, SA_NODEFER);
	timer = timer_of(SIGALRM);
	start(timer, 2000, false);
	expect_hex(enter(0, TEST_SPIN_UNTIL, (uint64_t)&inside, 0), TEST_MAGIC,
		   "nested: the ECALL that it interrupted");
	timer_delete(timer);
	expect(depth, 2, "nested: two calls of the handler");
}

/* Signals from another thread while this one is inside. */
static pthread_t interrupted;

static void wait_for_entry(void)
{
	while (!inside.inside)
		sched_yield();
}

static void *send_blocked(void *nothing)
{
	wait_for_entry();
	pthread_kill(interrupted, SIGUSR1);
	usleep(20000);
	inside.leave = 1;
	return nothing;
}

static void count(int number, siginfo_t *info, void *context)
{
	(void)number;
	note(info, context);
}

static void with_thread(void *(*other)(void *), const char *name)
{
	pthread_t sender;

	interrupted = pthread_self();
	if (pthread_create(&sender, NULL, other, NULL))
		give_up("no thread");
	expect_hex(enter(thread, TEST_HOLD_STATE, (uint64_t)&inside, 0),
		   TEST_MAGIC, "%s: the enclave keeps its registers", name);
	pthread_join(sender, NULL);
}

static void test_blocked(void)
{
	sigset_t usr1, pending;

	forget();
	handle(SIGUSR1, count, 0);
	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &usr1, NULL);
	with_thread(send_blocked, "blocked");
	sigpending(&pending);
	expect_true(sigismember(&pending, SIGUSR1), "blocked: it is pending");
	expect(seen.calls + seen.elsewhere, 0, "blocked: no call yet");
	pthread_sigmask(SIG_UNBLOCK, &usr1, NULL);
	expect(seen.elsewhere, 1, "blocked: unblocked, a call outside");
}

static void *send_ignored(void *nothing)
{
	int i;

	wait_for_entry();
	for (i = 0; i < 20; i++) {
		pthread_kill(interrupted, SIGUSR1);
		usleep(200);
	}
	inside.leave = 1;
	return nothing;
}

static void test_ignored(void)
{
	forget();
	signal(SIGUSR1, SIG_IGN);
	with_thread(send_ignored, "ignored");
	signal(SIGUSR1, SIG_DFL);
}

#define QUEUED (SIGRTMIN + 3)

static void *send_queued(void *nothing)
{
	union sigval value;

	wait_for_entry();
	for (value.sival_int = 1; value.sival_int <= 5; value.sival_int++)
		pthread_sigqueue(interrupted, QUEUED, value);
	return nothing;
}

static void take_value(int number, siginfo_t *info, void *context)
{
	(void)number;
	note(info, context);
	seen.values[seen.calls] = info->si_value.sival_int;
	inside.leave = seen.calls == 5;
}

static void test_queued(void)
{
	int i;

	forget();
	handle(QUEUED, take_value, 0);
	with_thread(send_queued, "queued");
	expect(seen.calls, 5, "queued: five calls of the handler");
	for (i = 1; i <= 5; i++)
		expect(seen.values[i], i, "queued: value %d", i);
	expect(seen.code, SI_QUEUE, "queued: si_code");
	expect_no_flaw("queued");
}

/*
 * An exception, and a handler that enters by the same TCS (one SSA frame up)
 * to have it repaired, and returns to the AEP.
 */
static volatile uint64_t repaired;
static struct test_exception recorded;

static void repair(int number, siginfo_t *info, void *context)
{
	uint64_t rsp = raw_rsp;

	(void)number;
	note(info, context);
	memset(&recorded, 0, sizeof(recorded));
	enter(thread, HANDLE_RECORD, (uint64_t)&recorded, 0);
	repaired = enter(thread, HANDLE_RECOVER, 0, 0);
	raw_rsp = rsp;
}

static void expect_repaired(enum test_ecall ecall, uint64_t rsi, int number,
			    int code, uint64_t address, int flags,
			    const char *name)
{
	forget();
	repaired = ~0ull;
	handle(number, repair, flags);
	enter(thread, ecall, rsi, 1);
	expect(seen.calls, 1, "%s: one call of the handler", name);
	expect(repaired, ENCLAVE_EXCEPTION_FIXED, "%s: repaired from it", name);
	expect(seen.code, code, "%s: si_code", name);
	expect_hex(seen.address, address, "%s: si_addr", name);
	expect_no_flaw(name);
	expect_true(recorded.state.rip - e.base < e.size,
		    "%s: the SSA frame has the true RIP", name);
	expect_hex(recorded.state.ursp, raw_rsp, "%s: and the host's RSP",
		   name);
	expect_hex(recorded.state.urbp, RAW_RBP, "%s: and its RBP", name);
	expect_hex(enter(thread, TEST_NOTHING, 0, 0), TEST_MAGIC,
		   "%s: the TCS is as new", name);
	signal(number, SIG_DFL);
}

static void test_repaired(void)
{
	uint64_t guard = test_address(&e, PLACE_GUARD);
	uint64_t code = test_address(&e, PLACE_CODE) & -PAGE;
	uint64_t aep = (uint64_t)raw_aep;

	expect_repaired(TEST_UD2, 0, SIGILL, ILL_ILLOPN, aep, 0, "UD2");
	expect_repaired(TEST_DIVIDE, 0, SIGFPE, FPE_INTDIV, aep, 0,
			"division by zero");
	expect_repaired(TEST_READ, guard + 0x123, SIGSEGV, SEGV_MAPERR, guard,
			SA_NODEFER, "read of what is not mapped");
	expect_repaired(TEST_WRITE, code, SIGSEGV, SEGV_ACCERR, code, SA_ONSTACK,
			"write to code");
	expect_repaired(TEST_READ, 1ull << 63, SIGSEGV, SI_KERNEL, 0, 0,
			"read of no canonical address");
	expect_repaired(TEST_ILLEGAL, ILLEGAL_OUT, SIGILL, ILL_ILLOPN, aep, 0,
			"OUT");
	expect_repaired(TEST_SYSCALL, 0, SIGILL, ILL_ILLOPN, aep, 0, "SYSCALL");
}

/*
 * A page that was never added but is mapped: without SGX2 there is none to be
 * had, with it there is one that the enclave has not accepted.
 */
static uint64_t absent;

static int absent_signal(void)
{
	return e.cpu.sgx2 ? SIGSEGV : SIGBUS;
}

static void test_absent(void)
{
	absent = (e.base + e.source_size + PAGE) & -PAGE;
	if (mmap((void *)absent, PAGE, PROT_READ | PROT_WRITE,
		 MAP_SHARED | MAP_FIXED, e.fd, 0) == MAP_FAILED)
		give_up("mmap of a page that was not added failed");
	expect_repaired(TEST_READ, absent + 0x10, absent_signal(),
			e.cpu.sgx2 ? SEGV_ACCERR : BUS_ADRERR, absent, 0,
			"read of a page that was not added");
	expect_repaired(TEST_WRITE, absent + 0x20, absent_signal(),
			e.cpu.sgx2 ? SEGV_ACCERR : BUS_ADRERR, absent, 0,
			"write to a page that was not added");
}

static void test_once_only(void)
{
	struct sigaction now;

	forget();
	handle(SIGILL, repair, SA_RESETHAND);
	enter(thread, TEST_UD2, 0, 0);
	expect(seen.calls, 1, "SA_RESETHAND: the handler is called");
	sigaction(SIGILL, NULL, &now);
	expect_true(now.sa_handler == SIG_DFL, "SA_RESETHAND: and taken away");
	forget();
	handle(SIGILL, repair, 0);
	enter(thread, TEST_UD2, 0, 0);
	expect(seen.calls, 1, "SA_RESETHAND: another one is called");
	signal(SIGILL, SIG_DFL);
}

/* A handler that leaves by a jump leaves its SSA frame in use. */
static sigjmp_buf out;

static void jump(int number, siginfo_t *info, void *context)
{
	(void)number;
	note(info, context);
	siglongjmp(out, 1);
}

static void jump_always(int number, siginfo_t *info, void *context)
{
	(void)number;
	(void)info;
	(void)context;
	siglongjmp(out, 1);
}

static void test_jump(void)
{
	unsigned int on = fresh_thread(&e);

	forget();
	handle(SIGILL, jump, 0);
	if (!sigsetjmp(out, 1))
		enter(on, TEST_UD2, 0, 0);
	expect(seen.calls, 1, "jump: out of the enclave");
	expect(enter(on, HANDLE_REFUSE, 0, 0), ENCLAVE_EXCEPTION_UNHANDLED,
	       "jump: the next entry is one frame up");
	if (!sigsetjmp(out, 1))
		enter(on, HANDLE_FAULT, 0, 0);
	expect(seen.calls, 2, "jump: an exception up there");

	handle(SIGSEGV, jump_always, 0);
	if (!sigsetjmp(out, 1)) {
		enter(on, TEST_NOTHING, 0, 0);
		expect_true(false, "jump: no third frame");
	} else {
		expect_true(true, "jump: no third frame");
	}
	/* Back down by ERESUME: the upper one faults again, at its UD2. */
	if (!sigsetjmp(out, 1))
		raw_enclu(SGX_ERESUME, e.tcs[on], raw_aep, 0, 0, 0);
	expect(seen.calls, 3, "jump: resumed, it faults again");
	signal(SIGSEGV, SIG_DFL);
	signal(SIGILL, SIG_DFL);
}

/*
 * Signals that have nothing to do with an exception stay as they are, whatever
 * the processor did to find out.
 */
static void set_aside(int number, enum how how)
{
	sigset_t set;

	signal(number, how == IGNORED ? SIG_IGN : SIG_DFL);
	if (how != BLOCKED)
		return;
	handle(number, count, 0);
	sigemptyset(&set);
	sigaddset(&set, number);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
}

static void expect_aside(int number, enum how how, const char *name)
{
	struct sigaction now;
	sigset_t set;

	sigaction(number, NULL, &now);
	pthread_sigmask(SIG_BLOCK, NULL, &set);
	expect(sigismember(&set, number), how == BLOCKED,
	       "%s: the other one's mask", name);
	expect_true(now.sa_sigaction == (how == IGNORED ? (void *)SIG_IGN :
					 how == BLOCKED ? count :
					 (void *)SIG_DFL),
		    "%s: the other one's disposition", name);
	sigemptyset(&set);
	sigaddset(&set, number);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	signal(number, SIG_DFL);
}

static bool refused(void)
{
	if (sigsetjmp(out, 0))
		return true;
	raw_enclu(SGX_EENTER, e.tcs[0] + 8, raw_aep, 0, 0, 0);
	return false;
}

static void test_asides(void)
{
	static const char *const outs[] = {
		"OUT, SIGSEGV default", "OUT, SIGSEGV ignored",
		"OUT, SIGSEGV blocked",
	}, *const tcss[] = {
		"EENTER of no TCS, SIGILL default",
		"EENTER of no TCS, SIGILL ignored",
		"EENTER of no TCS, SIGILL blocked",
	};
	int how;

	for (how = DEFAULT; how <= BLOCKED; how++) {
		set_aside(SIGSEGV, how);
		expect_repaired(TEST_ILLEGAL, ILLEGAL_OUT, SIGILL, ILL_ILLOPN,
				(uint64_t)raw_aep, 0, outs[how]);
		expect_aside(SIGSEGV, how, outs[how]);
	}
	for (how = DEFAULT; how <= BLOCKED; how++) {
		set_aside(SIGILL, how);
		handle(SIGSEGV, jump_always, SA_NODEFER);
		expect_true(refused(), "%s: SIGSEGV", tcss[how]);
		expect_aside(SIGILL, how, tcss[how]);
		signal(SIGSEGV, SIG_DFL);
	}
}

/* A handler of a timer that looks in by the same TCS at every tick. */
static volatile unsigned int looks, wrong_looks;

static void look_in(int number, siginfo_t *info, void *context)
{
	uint64_t rsp = raw_rsp;

	(void)number;
	if (!note(info, context))
		return;
	looks++;
	wrong_looks += enter(thread, HANDLE_RECORD, (uint64_t)&recorded, 0) !=
		       ENCLAVE_EXCEPTION_NONE;
	raw_rsp = rsp;
}

static void test_storm(void (*handler)(int, siginfo_t *, void *),
		       long microseconds, const char *name)
{
	uint64_t x = 77, i, result;

	forget();
	handle(SIGALRM, handler, SA_RESTART);
	timer = timer_of(SIGALRM);
	start(timer, microseconds, true);
	result = enter(thread, TEST_SPIN, 77, ROUNDS);
	timer_delete(timer);
	for (i = 0; i < ROUNDS; i++)
		x = test_stir(x);
	expect_hex(result, x, "%s: the result is right", name);
	expect_true(seen.calls > 0, "%s: there were interruptions", name);
	expect_no_flaw(name);
}

static void test_storms(void)
{
	test_storm(count, 500, "a timer storm");
	test_storm(look_in, 2000, "a look inside at each tick");
	expect_true(looks > 0, "a look inside at each tick: it took place");
	expect(wrong_looks, 0, "a look inside at each tick: no exception");
}

/* What kills a program; in a child, as it must not be this one. */
static void die(enum test_ecall ecall, uint64_t rsi, uint64_t tcs, int number,
		enum how how)
{
	struct rlimit none = { 0, 0 };
	sigset_t set;

	setrlimit(RLIMIT_CORE, &none);
	signal(number, how == IGNORED ? SIG_IGN : SIG_DFL);
	if (how == BLOCKED) {
		handle(number, repair, 0);
		sigemptyset(&set);
		sigaddset(&set, number);
		sigprocmask(SIG_BLOCK, &set, NULL);
	}
	raw_enclu(SGX_EENTER, tcs, raw_aep, ecall, rsi, 0);
	_exit(77);
}

static void expect_death(enum test_ecall ecall, uint64_t rsi,
			 uint64_t misaligned, int number, const char *name)
{
	static const char *const hows[] = { "default", "ignored", "blocked" };
	int how, status;
	uint64_t tcs;
	pid_t child;

	for (how = DEFAULT; how <= BLOCKED; how++) {
		/* Who dies inside leaves an SSA frame in use. */
		tcs = e.tcs[fresh_thread(&e)] + misaligned;
		child = fork();
		if (!child)
			die(ecall, rsi, tcs, number, how);
		waitpid(child, &status, 0);
		expect(WIFSIGNALED(status) ? WTERMSIG(status) : -status, number,
		       "%s kills where its signal is %s", name, hows[how]);
	}
}

static void test_deaths(void)
{
	uint64_t guard = test_address(&e, PLACE_GUARD);

	expect_death(TEST_UD2, 0, 0, SIGILL, "UD2");
	expect_death(TEST_SYSCALL, 0, 0, SIGILL, "SYSCALL");
	expect_death(TEST_DIVIDE, 0, 0, SIGFPE, "division by zero");
	expect_death(TEST_READ, guard, 0, SIGSEGV,
		     "read of what is not mapped");
	expect_death(TEST_READ, absent, 0, absent_signal(),
		     "read of a page that was not added");
	expect_death(TEST_NOTHING, 0, 8, SIGSEGV,
		     "EENTER of no TCS");
}

int main(void)
{
	test_enclave(&e, NULL);
	test_each_signal();
	test_alternate_stack();
	test_nested();
	test_blocked();
	test_ignored();
	test_queued();
	test_repaired();
	test_absent();
	test_once_only();
	test_jump();
	test_asides();
	test_storms();
	test_deaths();
	enclave_destroy(&e);
	return done();
}
