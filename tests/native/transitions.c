// SPDX-License-Identifier: Apache-2.0
/*
 * Entries and exits by the hundred thousand, through the vDSO and by an ENCLU
 * of our own, from many threads, under a hail of signals, around forks: every
 * register and flag arrives as the manual has it, and nothing that interrupts
 * finds the program anywhere but at an instruction of its own.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include "support.h"
#include "transitions.h"

#define ARITHMETIC	0x8d5ull
#define DIRECTION	0x400ull
#define ROUNDS		3000
#define THREADS		16
#define SIGNALS		4000

static struct enclave e;
static uint64_t seed = 20191125;

static uint64_t chance(void)
{
	seed = test_stir(seed);
	return seed >> 8 | seed << 56;
}

/* ---- registers and flags ---------------------------------------------- */

static struct {
	unsigned int rounds;
	const char *flaw;
	uint64_t got, wanted;
} report;

static void check(uint64_t got, uint64_t wanted, const char *what)
{
	if (got != wanted && !report.flaw) {
		report.flaw = what;
		report.got = got;
		report.wanted = wanted;
	}
}

static void one_transit(unsigned int thread)
{
	struct test_registers inside;
	struct transit t, before;

	t = (struct transit){
		.rbx = e.tcs[thread], .rcx = (uint64_t)transit_aep,
		.rdx = chance(), .rsi = (uint64_t)&inside, .rdi = TEST_REGISTERS,
		.rbp = chance(), .r8 = chance(), .r9 = chance(),
		.r10 = chance(), .r11 = chance(), .r12 = chance(),
		.r13 = chance(), .r14 = chance(), .r15 = chance(),
		.flags = (chance() & (ARITHMETIC | DIRECTION)) | 0x202,
	};
	before = t;
	memset(&inside, 0, sizeof(inside));
	transit(&t);

	check(inside.frame.rax, 0, "CSSA inside");
	check(inside.frame.rbx, before.rbx, "RBX inside");
	check(inside.frame.rcx, (uint64_t)transit_enclu + 3, "RCX inside");
	check(inside.frame.rdx, before.rdx, "RDX inside");
	check(inside.frame.rsi, before.rsi, "RSI inside");
	check(inside.frame.rdi, before.rdi, "RDI inside");
	check(inside.frame.rbp, before.rbp, "RBP inside");
	check(inside.frame.r8, before.r8, "R8 inside");
	check(inside.frame.r9, before.r9, "R9 inside");
	check(inside.frame.r10, before.r10, "R10 inside");
	check(inside.frame.r11, before.r11, "R11 inside");
	check(inside.frame.r12, before.r12, "R12 inside");
	check(inside.frame.r13, before.r13, "R13 inside");
	check(inside.frame.r14, before.r14, "R14 inside");
	check(inside.frame.r15, before.r15, "R15 inside");
	check(inside.frame.rsp, t.rsp, "RSP inside");
	/* The entry code adds and compares before it looks at the flags. */
	check(inside.frame.rflags & DIRECTION, before.flags & DIRECTION,
	      "DF inside");
	check(inside.fs_base, inside.thread, "FS inside");
	check(inside.gs_base, inside.thread, "GS inside");

	check(t.rax, SGX_EEXIT, "RAX outside");
	check(t.rbx, (uint64_t)transit_enclu + 3, "RBX outside");
	check(t.rcx, (uint64_t)transit_aep, "RCX outside");
	check(t.rdi, TEST_MAGIC, "RDI outside");
	check(t.rbp, before.rbp, "RBP outside");
	check(t.r10, 0, "R10 outside");
	check(t.r12, before.r12, "R12 outside");
	check(t.r15, before.r15, "R15 outside");
	check(t.flags & ARITHMETIC, 0x44, "flags outside"); /* of its last XOR */
	report.rounds++;
}

static void registers(void)
{
	unsigned int thread = fresh_thread(&e);

	for (int i = 0; i < ROUNDS; i++)
		one_transit(thread);
	if (report.flaw)
		printf("# %s: %#llx, not %#llx\n", report.flaw,
		       (unsigned long long)report.got,
		       (unsigned long long)report.wanted);
	expect_true(!report.flaw, "registers and flags of %d entries", ROUNDS);
	expect(report.rounds, ROUNDS, "all of them came back");
}

/* ---- many threads ------------------------------------------------------ */

struct worker {
	pthread_t pthread;
	unsigned int thread;
	unsigned int rounds;
	unsigned int least;		/* rounds before it may stop */
	unsigned int wrong;
	int vdso;
};

static volatile int stop;

static void *work(void *argument)
{
	struct worker *w = argument;

	while (!stop || w->rounds < w->least) {
		uint64_t x = w->rounds, result = 0;

		if (w->vdso) {
			if (!test_call(&e, w->thread, TEST_SPIN, x, 3, &result))
				w->wrong++;
		} else {
			struct transit t = {
				.rbx = e.tcs[w->thread],
				.rcx = (uint64_t)transit_aep, .rdi = TEST_SPIN,
				.rsi = x, .rdx = 3, .flags = 0x202,
			};

			transit(&t);
			result = t.rdi;
		}
		for (int i = 0; i < 3; i++)
			x = test_stir(x);
		w->wrong += result != x;
		errno = 0;		/* FS is ours again */
		w->rounds++;
	}
	return NULL;
}

static void start(struct worker *w, unsigned int count)
{
	stop = 0;
	for (unsigned int i = 0; i < count; i++) {
		w[i] = (struct worker){
			.thread = fresh_thread(&e), .vdso = i % 2, .least = ROUNDS,
		};
		if (pthread_create(&w[i].pthread, NULL, work, &w[i]))
			give_up("pthread_create");
	}
}

static void finish(struct worker *w, unsigned int count, const char *name)
{
	unsigned int wrong = 0;

	stop = 1;
	for (unsigned int i = 0; i < count; i++) {
		pthread_join(w[i].pthread, NULL);
		wrong += w[i].wrong;
	}
	expect(wrong, 0, "%s: results", name);
}

static void threads(void)
{
	struct worker w[THREADS];

	start(w, THREADS);
	finish(w, THREADS, "many threads");
}

/* Two threads and one TCS: one is refused, and neither takes harm. */
static void *intrude(void *argument)
{
	unsigned int *counts = argument;

	for (int i = 0; i < 5000; i++) {
		struct sgx_registers registers = { .rdi = TEST_NOTHING };
		struct sgx_enclave_run run = { 0 };

		if (enclave_enter(&e, counts[2], SGX_EENTER, &registers, &run) < 0)
			give_up("enter");
		counts[run.function == SGX_EEXIT && registers.rdi == TEST_MAGIC]++;
	}
	return NULL;
}

static void one_tcs(void)
{
	unsigned int a[3] = { 0 }, b[3] = { 0 };
	pthread_t one, other;

	a[2] = b[2] = fresh_thread(&e);
	pthread_create(&one, NULL, intrude, a);
	pthread_create(&other, NULL, intrude, b);
	pthread_join(one, NULL);
	pthread_join(other, NULL);
	expect(a[0] + a[1] + b[0] + b[1], 10000, "one TCS: every call ended");
	expect_true(a[1] + b[1] >= 5000, "one TCS: half of the calls at least");
}

/* ---- signals ----------------------------------------------------------- */

static uint64_t foreign[32][2];		/* no code of this program's */
static unsigned int foreign_count;
static volatile unsigned int handled, misplaced;
static volatile uint64_t where;

static void find_foreign(void)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	char line[512];

	while (maps && fgets(line, sizeof(line), maps))
		if (strstr(line, "softsgx") && foreign_count < 32) {
			unsigned long start, end;

			if (sscanf(line, "%lx-%lx", &start, &end) != 2)
				continue;
			foreign[foreign_count][0] = start;
			foreign[foreign_count++][1] = end;
		}
	if (maps)
		fclose(maps);
}

static void on_signal(int signal, siginfo_t *info, void *context)
{
	uint64_t rip = ((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP];

	(void)signal;
	(void)info;
	handled++;
	if (rip >= e.base && rip < e.base + e.size) {
		misplaced++;
		where = rip;
	}
	for (unsigned int i = 0; i < foreign_count; i++)
		if (rip >= foreign[i][0] && rip < foreign[i][1]) {
			misplaced++;
			where = rip;
		}
}

static void signals(int vdso)
{
	struct sigaction action = {
		.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_RESTART,
	};
	const char *name = vdso ? "signals, vDSO" : "signals, own ENCLU";
	struct worker w = { .thread = fresh_thread(&e), .vdso = vdso };

	sigaction(SIGUSR1, &action, NULL);
	find_foreign();
	handled = misplaced = stop = 0;
	if (pthread_create(&w.pthread, NULL, work, &w))
		give_up("pthread_create");
	for (int i = 0; i < SIGNALS; i++) {
		unsigned int before = handled;

		if (pthread_kill(w.pthread, SIGUSR1))
			break;
		while (handled == before)
			for (volatile int spin = chance() % 300; spin > 0; spin--)
				;
	}
	finish(&w, 1, name);
	expect(handled, SIGNALS, "%s: all handled", name);
	if (misplaced)
		printf("# a handler saw RIP = %#llx\n", (unsigned long long)where);
	expect(misplaced, 0, "%s: where handlers find the program", name);
}

/* ---- resumptions ------------------------------------------------------- */

static struct test_wait held;
static pthread_t holder;
static volatile unsigned int interrupts;
static volatile unsigned long probe_at;	/* 0: none is asked for */

static enum test_ecall hold_state(void)
{
	return __builtin_cpu_supports("avx") ? TEST_HOLD_STATE_AVX : TEST_HOLD_STATE;
}

/* All registers in use inside, until held.leave. */
static uint64_t hold(unsigned int thread, int vdso)
{
	struct transit t = {
		.rbx = e.tcs[thread], .rcx = (uint64_t)transit_aep,
		.rdi = hold_state(), .rsi = (uint64_t)&held, .flags = 0x202,
	};
	uint64_t result = 0;

	if (vdso)
		return test_call(&e, thread, hold_state(), (uint64_t)&held, 0, &result) ?
		       result : 0;
	transit(&t);
	return t.rdi;
}

static void on_interrupt(int signal)
{
	int error = errno;

	(void)signal;
	if (probe_at) {
		held.leave = 1;
		ioctl(-1, 0xa4f0, probe_at);
	}
	errno = error;
	interrupts++;
}

static void *interrupt(void *argument)
{
	unsigned int times = *(unsigned int *)argument;

	while (!held.inside)
		sched_yield();
	while (times--) {
		unsigned int before = interrupts;

		pthread_kill(holder, SIGUSR2);
		while (interrupts == before)
			sched_yield();
		for (volatile int spin = chance() % 300; spin > 0; spin--)
			;
	}
	held.leave = 1;
	return NULL;
}

/* As hold(), interrupted so often; true if every register survived. */
static int interrupted(unsigned int thread, int vdso, unsigned int times)
{
	pthread_t other;
	uint64_t result;

	memset(&held, 0, sizeof(held));
	holder = pthread_self();
	if (pthread_create(&other, NULL, interrupt, &times))
		give_up("pthread_create");
	result = hold(thread, vdso);
	pthread_join(other, NULL);
	return result == TEST_MAGIC;
}

static void resumptions(int vdso)
{
	const char *name = vdso ? "vDSO" : "own ENCLU";
	unsigned int thread = fresh_thread(&e), wrong = 0;

	signal(SIGUSR2, on_interrupt);
	interrupts = 0;
	report.flaw = NULL;
	for (int i = 0; i < 100; i++) {
		wrong += !interrupted(thread, vdso, 20);
		one_transit(thread);	/* CSSA is 0 again */
	}
	expect(interrupts, 2000, "%s: interrupted", name);
	expect(wrong, 0, "%s: registers of what is resumed", name);
	expect_true(!report.flaw, "%s: entries after resumptions", name);
}

/* ---- every instruction ------------------------------------------------- */

/*
 * A signal at every instruction of whatever does transitions without a trap,
 * one after the other: "probe", under softsgx run --probe-monitor. The ioctl
 * asks for it, of no file: one on the enclave would make the next entry trap.
 */
static void probe(int vdso, int resume)
{
	unsigned int thread = fresh_thread(&e), wrong = 0, at;
	char name[32];
	struct sigaction action = {
		.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_RESTART,
	};
	uint64_t result;

	snprintf(name, sizeof(name), "%s%s", vdso ? "vDSO" : "own ENCLU",
		 resume ? ", ERESUME" : "");
	sigaction(SIGUSR1, &action, NULL);
	signal(SIGUSR2, on_interrupt);
	find_foreign();
	report.flaw = NULL;
	misplaced = 0;
	for (at = 1; at < 400; at++) {
		for (int i = 0; i < 3; i++)	/* nothing traps any more */
			one_transit(thread), test_call(&e, thread, TEST_NOTHING, 0, 0, &result);
		if (resume && at == 1)
			wrong += !interrupted(thread, vdso, 3);
		handled = 0;
		if (resume) {
			probe_at = at;
			wrong += !interrupted(thread, vdso, 1);
			probe_at = 0;
			one_transit(thread);
		} else {
			ioctl(-1, 0xa4f0, (unsigned long)at);
			if (vdso) {
				wrong += !test_call(&e, thread, TEST_NOTHING, 0, 0, &result) ||
					 result != TEST_MAGIC;
			} else {
				one_transit(thread);
			}
		}
		if (!handled)
			break;
		errno = 0;
	}
	printf("# %u instructions\n", at - 1);
	if (report.flaw)
		printf("# %s: %#llx, not %#llx\n", report.flaw,
		       (unsigned long long)report.got,
		       (unsigned long long)report.wanted);
	if (misplaced)
		printf("# a handler saw RIP = %#llx\n", (unsigned long long)where);
	expect_true(at > 60 && at < 400, "%s: a transition's instructions", name);
	expect(wrong, 0, "%s: results", name);
	expect_true(!report.flaw, "%s: registers and flags", name);
	expect(misplaced, 0, "%s: where handlers find the program", name);
}

/* ---- single steps ------------------------------------------------------ */

static volatile unsigned int steps;

static void on_step(int signal)
{
	(void)signal;
	steps++;
}

static void step(int on)
{
	if (on)
		asm volatile("pushfq; orq $0x100, (%%rsp); popfq" ::: "memory", "cc");
	else
		asm volatile("pushfq; andq $~0x100, (%%rsp); popfq" ::: "memory", "cc");
}

/* A program that steps through itself steps over an ECALL, and ends. */
static void single_steps(void)
{
	unsigned int thread = fresh_thread(&e), wrong = 0;
	struct transit t = {
		.rbx = e.tcs[thread], .rcx = (uint64_t)transit_aep,
		.rdi = TEST_NOTHING, .flags = 0x302,
	};
	uint64_t result = 0;

	signal(SIGTRAP, on_step);
	for (int i = 0; i < 5; i++) {
		one_transit(thread);
		test_call(&e, thread, TEST_NOTHING, 0, 0, &result);
	}
	for (int i = 0; i < 3; i++) {
		result = 0;
		step(1);
		wrong += !test_call(&e, thread, TEST_NOTHING, 0, 0, &result);
		step(0);
		wrong += result != TEST_MAGIC;
	}
	expect(wrong, 0, "single steps, vDSO: results");
	expect_true(steps > 100, "single steps, vDSO: there are some");
	steps = 0;
	transit(&t);
	step(0);
	expect_hex(t.rdi, TEST_MAGIC, "single steps, own ENCLU: result");
	expect_true(steps > 10, "single steps, own ENCLU: there are some");
	signal(SIGTRAP, SIG_DFL);
}

/* ---- forks ------------------------------------------------------------- */

static void forks(void)
{
	unsigned int thread = fresh_thread(&e), wrong = 0;
	uint64_t result;

	for (int i = 0; i < 20; i++) {
		int status;
		pid_t child;

		for (int k = 0; k < 20; k++)
			wrong += !test_call(&e, thread, TEST_NOTHING, 0, 0, &result) ||
				 result != TEST_MAGIC;
		child = fork();
		if (child == 0) {
			int bad = 0;

			for (int k = 0; k < 20; k++)
				bad |= !test_call(&e, thread, TEST_NOTHING, 0, 0, &result) ||
				       result != TEST_MAGIC;
			_exit(bad);
		}
		if (waitpid(child, &status, 0) != child || status)
			wrong++;
	}
	expect(wrong, 0, "ECALLs before, in and after forks");
}

/* A program that destroys what is not its own harms itself alone. */
static void vandals(void)
{
	uint64_t result;
	int status;

	find_foreign();
	for (int how = 0; how < 3; how++) {
		pid_t child = fork();

		if (child == 0) {
			foreign_count = 0;
			find_foreign();
			alarm(20);
			for (int k = 0; k < 5; k++)
				test_call(&e, 0, TEST_NOTHING, 0, 0, &result);
			for (unsigned int i = 0; i < foreign_count; i++) {
				void *start = (void *)foreign[i][0];
				size_t size = foreign[i][1] - foreign[i][0];

				if (how == 0)
					munmap(start, size);
				else if (!mprotect(start, size, PROT_READ | PROT_WRITE | PROT_EXEC))
					memset(start, how == 1 ? 0 : 0xa5, size);
			}
			for (int k = 0; k < 5; k++)
				test_call(&e, 0, TEST_NOTHING, 0, 0, &result);
			_exit(0);
		}
		waitpid(child, &status, 0);
	}
	expect_true(test_call(&e, 1, TEST_NOTHING, 0, 0, &result) &&
		    result == TEST_MAGIC, "after three vandals");
}

int main(int argc, char **argv)
{
	struct enclave_options options = { .threads = 48, .xfrm = SGX_XFRM_AVX };

	test_enclave(&e, &options);
	if (argc > 1 && !strcmp(argv[1], "probe")) {
		probe(1, 0);
		probe(0, 0);
		probe(1, 1);
		probe(0, 1);
		return done();
	}
	registers();
	threads();
	one_tcs();
	signals(1);
	signals(0);
	resumptions(1);
	resumptions(0);
	single_steps();
	forks();
	vandals();
	return done();
}
