// SPDX-License-Identifier: Apache-2.0
/*
 * Signals and enclaves. An ECALL changes no disposition and no mask, and the
 * exceptions that the vDSO reports are no signals. A signal that arrives while
 * an enclave runs sees the host's side of it only, and costs it nothing.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#include "support.h"

#define ROUNDS 200000000ull

static const int forced[] = { SIGILL, SIGSEGV, SIGFPE, SIGBUS, SIGTRAP };

#define NR_FORCED (sizeof(forced) / sizeof(forced[0]))

static struct enclave e;

/*
 * What a process has set for its signals, read from the kernel and not from
 * what libc remembers.
 */
struct settings {
	struct {
		uint64_t handler, flags, restorer, mask;
	} actions[65];
	uint64_t mask;
	stack_t stack;
};

static void read_settings(struct settings *s)
{
	int i;

	memset(s, 0, sizeof(*s));
	for (i = 1; i <= 64; i++)
		syscall(SYS_rt_sigaction, i, NULL, &s->actions[i], 8);
	syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, &s->mask, 8);
	sigaltstack(NULL, &s->stack);
}

static void expect_settings(const struct settings *wanted, const char *when)
{
	struct settings now;
	int i;

	read_settings(&now);
	expect_hex(now.mask, wanted->mask, "%s: the mask", when);
	for (i = 1; i <= 64; i++)
		if (memcmp(&now.actions[i], &wanted->actions[i],
			   sizeof(now.actions[i])))
			break;
	expect(i, 65, "%s: every action", when);
	expect_true(now.stack.ss_sp == wanted->stack.ss_sp &&
		    now.stack.ss_size == wanted->stack.ss_size &&
		    now.stack.ss_flags == wanted->stack.ss_flags,
		    "%s: the alternate stack", when);
}

/* Exceptions of all kinds: inside, and of the ENCLU. */
static void make_exceptions(const char *when)
{
	uint64_t guard = test_address(&e, PLACE_GUARD);
	struct sgx_registers registers = { 0 };
	struct sgx_enclave_run run = { .tcs = e.tcs[0] + 8 };
	static const enum test_ecall ecalls[] = {
		TEST_UD2, TEST_DIVIDE, TEST_READ,
	};
	uint64_t result;
	unsigned int i, thread;

	for (i = 0; i < 3; i++) {
		thread = fresh_thread(&e);
		registers = (struct sgx_registers){
			.rdi = ecalls[i], .rsi = guard,
		};
		expect(enclave_enter(&e, thread, SGX_EENTER, &registers, &run),
		       1, "%s: exception %u is reported", when, i);
		registers = (struct sgx_registers){ .rdi = HANDLE_RECOVER };
		enclave_enter(&e, thread, SGX_EENTER, &registers, &run);
		if (registers.rdi == ENCLAVE_EXCEPTION_FIXED)
			enclave_enter(&e, thread, SGX_ERESUME, &registers, &run);
	}
	run.tcs = e.tcs[0] + 8;
	expect(sgx_enter(&registers, SGX_EENTER, &run), 0,
	       "%s: a bad TCS is reported", when);
	expect(run.exception_vector, SGX_VECTOR_GP, "%s: as #GP", when);
	test_call(&e, 0, TEST_NOTHING, 0, 0, &result);
	expect_hex(result, TEST_MAGIC, "%s: an ECALL", when);
}

static void test_default(void)
{
	struct settings before;

	read_settings(&before);
	make_exceptions("default");
	expect_settings(&before, "default");
}

static void test_blocked(void)
{
	struct settings before;
	sigset_t all, old;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &old);
	read_settings(&before);
	make_exceptions("blocked");
	expect_settings(&before, "blocked");
	sigprocmask(SIG_SETMASK, &old, NULL);
}

static void test_ignored(void)
{
	struct sigaction ignore = { .sa_handler = SIG_IGN }, old[NR_FORCED];
	struct settings before;
	unsigned int i;

	for (i = 0; i < NR_FORCED; i++)
		sigaction(forced[i], &ignore, &old[i]);
	read_settings(&before);
	make_exceptions("ignored");
	expect_settings(&before, "ignored");
	for (i = 0; i < NR_FORCED; i++)
		sigaction(forced[i], &old[i], NULL);
}

static volatile int calls, last_signal;
static volatile uint64_t last_rip;
static sigjmp_buf past_it;

static void count(int number, siginfo_t *info, void *context)
{
	(void)info;
	calls++;
	last_signal = number;
	last_rip = ((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP];
	siglongjmp(past_it, 1);
}

extern const uint8_t our_ud2[];

asm(".text\n"
    "our_ud2:\n"
    "	ud2\n"
    "	ret\n");

static void test_handled(bool blocked)
{
	const char *name = blocked ? "handled and blocked" : "handled";
	struct sigaction action = {
		.sa_sigaction = count, .sa_flags = SA_SIGINFO | SA_NODEFER,
	}, old[NR_FORCED];
	struct settings before;
	sigset_t all, mask;
	unsigned int i;

	sigaddset(&action.sa_mask, SIGUSR1);
	for (i = 0; i < NR_FORCED; i++)
		sigaction(forced[i], &action, &old[i]);
	sigfillset(&all);
	sigprocmask(blocked ? SIG_SETMASK : SIG_BLOCK, blocked ? &all : NULL,
		    &mask);
	read_settings(&before);
	calls = 0;
	make_exceptions(name);
	expect(calls, 0, "%s: no handler was called", name);
	expect_settings(&before, name);
	sigprocmask(SIG_SETMASK, &mask, NULL);

	/* The program's own faults still are signals. */
	if (!sigsetjmp(past_it, 1))
		((void (*)(void))our_ud2)();
	expect(calls, 1, "%s: a UD2 outside is a signal", name);
	expect(last_signal, SIGILL, "%s: SIGILL", name);
	expect_hex(last_rip, (uint64_t)our_ud2, "%s: at its address", name);
	if (!sigsetjmp(past_it, 1))
		*(volatile int *)absent_page() = 1;
	expect(calls, 2, "%s: a wild write outside is a signal", name);
	expect(last_signal, SIGSEGV, "%s: SIGSEGV", name);
	for (i = 0; i < NR_FORCED; i++)
		sigaction(forced[i], &old[i], NULL);
}

/* A child that faults outside after an ECALL: it must die of it. */
static int death_of_child(const char *how)
{
	uint64_t result;
	int status = -1;
	sigset_t all;
	pid_t child;

	fflush(stdout);
	child = fork();
	if (child == 0) {
		sigfillset(&all);
		if (!strcmp(how, "blocked"))
			sigprocmask(SIG_SETMASK, &all, NULL);
		if (!strcmp(how, "ignored"))
			signal(SIGSEGV, SIG_IGN);
		test_call(&e, fresh_thread(&e), TEST_UD2, 0, 0, &result);
		*(volatile int *)absent_page() = 1;
		_exit(0);
	}
	waitpid(child, &status, 0);
	return status & 0x7f;
}

static void test_deaths(void)
{
	expect(death_of_child("default"), SIGSEGV, "a child dies of its fault");
	expect(death_of_child("blocked"), SIGSEGV,
	       "a child that blocks everything dies of its fault");
	expect(death_of_child("ignored"), SIGSEGV,
	       "a child that ignores it dies of its fault");
}

static volatile sig_atomic_t usr1;

static void on_usr1(int number)
{
	usr1 = number;
}

static void test_pending(void)
{
	struct sigaction action = { .sa_handler = on_usr1 }, old_action;
	sigset_t one, old, pending;
	uint64_t result;

	sigaction(SIGUSR1, &action, &old_action);
	sigemptyset(&one);
	sigaddset(&one, SIGUSR1);
	sigprocmask(SIG_BLOCK, &one, &old);
	raise(SIGUSR1);
	test_call(&e, 0, TEST_NOTHING, 0, 0, &result);
	test_call(&e, fresh_thread(&e), TEST_UD2, 0, 0, &result);
	sigpending(&pending);
	expect(usr1, 0, "a blocked signal stays blocked through ECALLs");
	expect(sigismember(&pending, SIGUSR1), 1, "and pending");
	sigprocmask(SIG_SETMASK, &old, NULL);
	expect(usr1, SIGUSR1, "and comes when it may");
	sigaction(SIGUSR1, &old_action, NULL);
}

/*
 * A timer that interrupts.
 */

struct seen {
	volatile unsigned int calls, inside;	/* inside: at the AEP */
	volatile unsigned int in_elrange;
	volatile unsigned int bad_rbx, bad_rsp, bad_gprs, bad_vectors, bad_mxcsr;
	volatile unsigned int leave_after;
	struct test_wait wait;
	uint64_t tcs;
};

static struct seen seen;

static bool all_zero(const void *p, size_t length)
{
	const uint8_t *byte = p;

	while (length--)
		if (*byte++)
			return false;
	return true;
}

static void examine(const ucontext_t *context)
{
	const greg_t *g = context->uc_mcontext.gregs;
	const struct _libc_fpstate *fp = context->uc_mcontext.fpregs;

	seen.inside++;
	seen.bad_rbx += g[REG_RBX] != (greg_t)seen.tcs;
	seen.bad_rsp += (uint64_t)g[REG_RSP] - e.base < e.size;
	seen.bad_gprs += g[REG_RDI] || g[REG_RSI] || g[REG_RDX] || g[REG_R8] ||
			 g[REG_R9] || g[REG_R10] || g[REG_R11] || g[REG_R12] ||
			 g[REG_R13] || g[REG_R14] || g[REG_R15];
	seen.bad_vectors += !all_zero(fp->_xmm, sizeof(fp->_xmm));
	seen.bad_mxcsr += fp->mxcsr != 0x1f80;
}

static void on_alarm(int number, siginfo_t *info, void *context)
{
	const greg_t *g = ((ucontext_t *)context)->uc_mcontext.gregs;

	(void)number;
	(void)info;
	seen.calls++;
	seen.in_elrange += (uint64_t)g[REG_RIP] - e.base < e.size;
	if (g[REG_RIP] == g[REG_RCX] && g[REG_RAX] == SGX_ERESUME)
		examine(context);
	if (seen.leave_after && seen.inside >= seen.leave_after)
		seen.wait.leave = 1;
}

static void start_timer(void (*handler)(int, siginfo_t *, void *), int flags)
{
	struct itimerval every = { { 0, 2000 }, { 0, 2000 } };
	struct sigaction action = {
		.sa_sigaction = handler, .sa_flags = SA_SIGINFO | flags,
	};

	memset(&seen, 0, sizeof(seen));
	seen.tcs = e.tcs[0];
	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &every, NULL);
}

static void stop_timer(void)
{
	struct itimerval never = { { 0, 0 }, { 0, 0 } };

	setitimer(ITIMER_REAL, &never, NULL);
	signal(SIGALRM, SIG_DFL);
}

static uint64_t stirred(uint64_t x, uint64_t rounds)
{
	while (rounds--)
		x = test_stir(x);
	return x;
}

static void expect_seen(const char *name)
{
	expect_true(seen.inside > 0, "%s: came while the enclave ran", name);
	expect(seen.in_elrange, 0, "%s: RIP is never inside", name);
	expect(seen.bad_rbx, 0, "%s: RBX is the TCS", name);
	expect(seen.bad_rsp, 0, "%s: RSP is the host's", name);
	expect(seen.bad_gprs, 0, "%s: the other registers are empty", name);
	expect(seen.bad_vectors, 0, "%s: the XMM registers are empty", name);
	expect(seen.bad_mxcsr, 0, "%s: MXCSR is as after a reset", name);
}

static void test_timer(int flags, const char *name)
{
	uint64_t result = 0;

	start_timer(on_alarm, flags);
	test_call(&e, 0, TEST_SPIN, 12345, ROUNDS, &result);
	stop_timer();
	expect_hex(result, stirred(12345, ROUNDS), "%s: the result is right",
		   name);
	expect_seen(name);
}

static void test_alternate_stack(void)
{
	stack_t stack = { .ss_size = 65536 }, none = { .ss_flags = SS_DISABLE };

	stack.ss_sp = malloc(stack.ss_size);
	sigaltstack(&stack, NULL);
	test_timer(SA_ONSTACK, "timer on an alternate stack");
	sigaltstack(&none, NULL);
	free(stack.ss_sp);
}

/* All registers in use, across fifty interruptions. */
static void test_hold(enum test_ecall ecall, const char *name)
{
	uint64_t result = 0;

	start_timer(on_alarm, SA_RESTART);
	seen.leave_after = 50;
	test_call(&e, 0, ecall, (uint64_t)&seen.wait, 0, &result);
	stop_timer();
	expect_hex(result, TEST_MAGIC, "%s: every register survives", name);
	expect_true(seen.inside >= 50, "%s: fifty interruptions", name);
	expect_seen(name);
}

/* A handler that makes ECALLs itself: by another TCS, and by the same one. */
static volatile struct {
	unsigned int other, same;
	uint64_t other_result, same_result;
} nested;

static void on_alarm_enter(int number, siginfo_t *info, void *context)
{
	uint64_t result = 0;

	on_alarm(number, info, context);
	if (test_call(&e, 1, TEST_NOTHING, 0, 0, &result))
		nested.other++;
	nested.other_result = result;
	if (seen.inside && !nested.same) {
		if (test_call(&e, 0, (enum test_ecall)HANDLE_RECOVER, 0, 0,
			      &result))
			nested.same++;
		nested.same_result = result;
	}
}

static void test_nested(void)
{
	uint64_t result = 0;

	start_timer(on_alarm_enter, 0);
	test_call(&e, 0, TEST_SPIN, 54321, ROUNDS, &result);
	stop_timer();
	expect_hex(result, stirred(54321, ROUNDS),
		   "ECALLs in a handler: the interrupted one's result is right");
	expect_true(nested.other > 0 && nested.other_result == TEST_MAGIC,
		    "ECALLs in a handler: by another TCS");
	expect(nested.same, 1, "ECALLs in a handler: by the same TCS");
	expect(nested.same_result, ENCLAVE_EXCEPTION_NONE,
	       "ECALLs in a handler: the frame shows no exception");
}

/* A handler that never returns to the AEP; somebody else resumes. */
static sigjmp_buf out_of_alarm;

static void on_alarm_jump(int number, siginfo_t *info, void *context)
{
	on_alarm(number, info, context);
	if (seen.inside)
		siglongjmp(out_of_alarm, 1);
}

static void test_jump(void)
{
	struct sgx_registers registers = { 0 };
	struct sgx_enclave_run run = { 0 };
	uint64_t result = 0;

	start_timer(on_alarm_jump, 0);
	if (!sigsetjmp(out_of_alarm, 1)) {
		test_call(&e, 0, TEST_SPIN, 999, ROUNDS, &result);
		stop_timer();
		expect_true(false, "a handler jumps out of an ECALL");
		return;
	}
	stop_timer();
	expect_true(true, "a handler jumps out of an ECALL");
	expect(enclave_enter(&e, 0, SGX_ERESUME, &registers, &run), 0,
	       "the ECALL is resumed later");
	expect_hex(registers.rdi, stirred(999, ROUNDS), "and ends well");
}

/*
 * Signals from others.
 */

static pthread_t target;

static void *send_signals(void *unused)
{
	int i;

	(void)unused;
	while (!seen.wait.inside)
		sched_yield();
	for (i = 0; i < 200; i++) {
		pthread_kill(target, SIGUSR1);
		usleep(200);
	}
	seen.wait.leave = 1;
	return NULL;
}

static void test_thread_signals(void)
{
	struct sigaction action = {
		.sa_sigaction = on_alarm, .sa_flags = SA_SIGINFO,
	};
	uint64_t result = 0;
	pthread_t sender;

	memset(&seen, 0, sizeof(seen));
	seen.tcs = e.tcs[0];
	target = pthread_self();
	sigaction(SIGUSR1, &action, NULL);
	if (pthread_create(&sender, NULL, send_signals, NULL))
		give_up("no thread");
	test_call(&e, 0, TEST_HOLD_STATE, (uint64_t)&seen.wait, 0, &result);
	pthread_join(sender, NULL);
	signal(SIGUSR1, SIG_DFL);
	expect_hex(result, TEST_MAGIC, "pthread_kill: every register survives");
	expect_seen("pthread_kill");
}

/* Shared with a child that holds an enclave. */
static struct test_wait *shared_wait(void)
{
	struct test_wait *wait = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
				      MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (wait == MAP_FAILED)
		give_up("no memory");
	return wait;
}

static pid_t child_inside(struct test_wait *wait, unsigned int thread)
{
	uint64_t result = 0;
	pid_t child;

	fflush(stdout);
	child = fork();
	if (child == 0) {
		test_call(&e, thread, TEST_HOLD_STATE, (uint64_t)wait, 0,
			  &result);
		_exit(result == TEST_MAGIC ? 7 : 1);
	}
	while (!wait->inside)
		sched_yield();
	return child;
}

static void test_stop(void)
{
	struct test_wait *wait = shared_wait();
	pid_t child = child_inside(wait, fresh_thread(&e));
	int status = 0;

	kill(child, SIGSTOP);
	expect(waitpid(child, &status, WUNTRACED), child,
	       "SIGSTOP: a child stops inside");
	expect_true(WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP,
		    "SIGSTOP: as such");
	kill(child, SIGCONT);
	expect(waitpid(child, &status, WCONTINUED), child,
	       "SIGCONT: it continues");
	expect_true(WIFCONTINUED(status), "SIGCONT: as such");
	wait->leave = 1;
	waitpid(child, &status, 0);
	expect(WIFEXITED(status) ? WEXITSTATUS(status) : -1, 7,
	       "SIGCONT: every register survives");
	munmap(wait, PAGE);
}

static void test_kill(void)
{
	struct test_wait *wait = shared_wait();
	pid_t child = child_inside(wait, fresh_thread(&e));
	uint64_t result = 0;
	int status = 0;

	kill(child, SIGKILL);
	waitpid(child, &status, 0);
	expect(status & 0x7f, SIGKILL, "SIGKILL: a child dies inside");
	test_call(&e, 0, TEST_NOTHING, 0, 0, &result);
	expect_hex(result, TEST_MAGIC, "SIGKILL: the enclave lives on");
	munmap(wait, PAGE);
}

static void *hold_inside(void *wait)
{
	uint64_t result;

	test_call(&e, fresh_thread(&e), TEST_HOLD_STATE, (uint64_t)wait, 0,
		  &result);
	return NULL;
}

/* A process ends while one of its threads is inside. */
static void test_exit(void)
{
	struct test_wait *wait = shared_wait();
	int status = 0;
	pthread_t thread;
	pid_t child;

	fflush(stdout);
	child = fork();
	if (child == 0) {
		pthread_create(&thread, NULL, hold_inside, wait);
		while (!wait->inside)
			sched_yield();
		_exit(9);
	}
	waitpid(child, &status, 0);
	expect(WIFEXITED(status) ? WEXITSTATUS(status) : -1, 9,
	       "a process ends while its thread is inside");
	munmap(wait, PAGE);
}

int main(void)
{
	static const struct enclave_options options = {
		.exinfo = true, .xfrm = SGX_XFRM_AVX,
	};

	test_enclave(&e, &options);
	fresh_thread(&e);	/* TCS 1 is for ECALLs in handlers */
	test_default();
	test_blocked();
	test_ignored();
	test_handled(false);
	test_handled(true);
	test_deaths();
	test_pending();
	test_timer(0, "timer");
	test_alternate_stack();
	test_hold(TEST_HOLD_STATE, "SSE state");
	if (e.secs.xfrm & SGX_XFRM_AVX)
		test_hold(TEST_HOLD_STATE_AVX, "AVX state");
	else
		skip("this processor's enclaves have no AVX", "AVX state");
	test_nested();
	test_jump();
	test_thread_signals();
	test_stop();
	test_kill();
	test_exit();
	enclave_destroy(&e);
	return done();
}
