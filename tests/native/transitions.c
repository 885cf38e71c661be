// SPDX-License-Identifier: Apache-2.0
/*
 * Entries and exits by the hundred thousand, through the vDSO and by an ENCLU
 * of our own, from many threads, under a hail of signals, around forks: every
 * register and flag arrives as the manual has it, and nothing that interrupts
 * finds the program anywhere but at an instruction of its own.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
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

static const struct way {
	void (*transit)(struct transit *t);
	const uint8_t *enclu;
} ways[] = {
	{ transit, transit_enclu },
	{ transit_short, transit_short_enclu },
	{ transit_inner, transit_short_enclu },
};

static void one_transit(unsigned int thread, const struct way *way)
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
	way->transit(&t);

	check(inside.frame.rax, 0, "CSSA inside");
	check(inside.frame.rbx, before.rbx, "RBX inside");
	check(inside.frame.rcx, (uint64_t)way->enclu + 3, "RCX inside");
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
	check(t.rbx, (uint64_t)way->enclu + 3, "RBX outside");
	check(t.rcx, (uint64_t)transit_aep, "RCX outside");
	check(t.rdi, TEST_MAGIC, "RDI outside");
	check(t.rbp, before.rbp, "RBP outside");
	check(t.r10, 0, "R10 outside");
	check(t.r12, before.r12, "R12 outside");
	check(t.r15, before.r15, "R15 outside");
	check(t.flags & ARITHMETIC, 0x44, "flags outside"); /* of its last XOR */
	report.rounds++;
}

/* Out by an ENCLU behind short instructions. */
static void one_short_exit(unsigned int thread)
{
	struct transit t = {
		.rbx = e.tcs[thread], .rcx = (uint64_t)transit_aep,
		.rdi = TEST_EXIT_SHORT, .rbp = chance(), .r12 = chance(),
		.flags = 0x202,
	}, before = t;

	transit_short(&t);
	check(t.rax, SGX_EEXIT, "RAX outside, short");
	check(t.rbx, (uint64_t)transit_short_enclu + 3, "RBX outside, short");
	check(t.rcx, (uint64_t)transit_aep, "RCX outside, short");
	check(t.rdx, 0, "RDX outside, short");
	check(t.rdi, TEST_MAGIC, "RDI outside, short");
	check(t.rbp, before.rbp, "RBP outside, short");
	check(t.r10 | t.r11, 0, "R10 and R11 outside, short");
	check(t.flags & ARITHMETIC, 0x44, "flags outside, short");
	report.rounds++;
}

static void registers(void)
{
	unsigned int thread = fresh_thread(&e);

	for (int i = 0; i < ROUNDS; i++)
		if (i % 4 < 3)
			one_transit(thread, &ways[i % 4]);
		else
			one_short_exit(thread);
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

/* Into the middle of what a jump has taken the place of only now and then. */
static void enter(struct transit *t, unsigned int round)
{
	if (round % 64 == 63)
		transit_inner(t);
	else
		ways[round % 2].transit(t);
}

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

			enter(&t, w->rounds);
			result = t.rdi;
			t.rdi = TEST_EXIT_SHORT;
			t.rbx = e.tcs[w->thread];
			t.rcx = (uint64_t)transit_aep;
			enter(&t, w->rounds);
			w->wrong += t.rdi != TEST_MAGIC;
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
	/* A refusal is quicker than a call, so there can be many more of them. */
	expect_true(a[1] + b[1] >= 500, "one TCS: there were calls");
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
static int probe_fd;

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
		ioctl(probe_fd, 0xa4f0, probe_at);
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
		one_transit(thread, &ways[0]);	/* CSSA is 0 again */
	}
	expect(interrupts, 2000, "%s: interrupted", name);
	expect(wrong, 0, "%s: registers of what is resumed", name);
	expect_true(!report.flaw, "%s: entries after resumptions", name);
}

/* ---- what is told, and to whom ------------------------------------------ */

/*
 * Random calls whose transitions are the same in every run: "story SEED", to
 * compare what is told of them. Each thread has a TCS of its own, and does its
 * calls after those of the one before or, with "story SEED together", beside
 * the others.
 */
#define STORY_CALLS	400

static uint64_t story_seed, story_place;

static void *tell(void *argument)
{
	uint64_t x = test_stir(story_seed + (uintptr_t)argument), result;
	unsigned int thread = (uintptr_t)argument;

	for (int i = 0; i < STORY_CALLS; i++) {
		struct transit t = {
			.rbx = e.tcs[thread], .rcx = (uint64_t)transit_aep,
			.rdi = TEST_NOTHING, .flags = 0x202,
		};
		struct sgx_enclave_run run = { 0 };
		struct sgx_registers registers = { .rdi = TEST_UD2 };

		x = test_stir(x);
		switch (x >> 40 & 7) {
		case 0:
		case 1:
			transit(&t);
			break;
		case 2:		/* no TCS */
			run.tcs = e.tcs[thread] + 8;
			sgx_enter(&registers, SGX_EENTER, &run);
			break;
		case 3:		/* an exception, its handler, and the way back */
			enclave_enter(&e, thread, SGX_EENTER, &registers, &run);
			registers = (struct sgx_registers){ .rdi = HANDLE_RECOVER };
			enclave_enter(&e, thread, SGX_EENTER, &registers, &run);
			registers = (struct sgx_registers){ 0 };
			enclave_enter(&e, thread, SGX_ERESUME, &registers, &run);
			break;
		case 4:
			test_call(&e, thread, TEST_WRITE, story_place, x, &result);
			break;
		case 5:
			test_call(&e, thread, TEST_SPIN, x, x >> 50 & 0xff, &result);
			break;
		default:
			test_call(&e, thread, TEST_NOTHING, 0, 0, &result);
		}
	}
	return NULL;
}

static void story(const char *seed, int together)
{
	pthread_t threads[4];

	story_seed = strtoull(seed, NULL, 0);
	story_place = test_address(&e, PLACE_ARENA);
	for (uintptr_t i = 0; i < 4; i++) {
		if (pthread_create(&threads[i], NULL, tell, (void *)(i + 1)))
			give_up("pthread_create");
		if (!together)
			pthread_join(threads[i], NULL);
	}
	for (int i = 0; i < 4 && together; i++)
		pthread_join(threads[i], NULL);
}

/*
 * Processes that are killed wherever they may be: "killed". Each has an enclave
 * of its own: a thread that dies inside takes an SSA frame with it.
 */
static void killed(void)
{
	int *ready = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	for (int i = 0; i < 100; i++) {
		pid_t child;

		*ready = 0;
		child = fork();
		if (child == 0) {
			struct enclave_options options = { .threads = 4 };
			struct worker w[2];

			test_enclave(&e, &options);
			start(w, 2);
			while (w[0].rounds < 10 || w[1].rounds < 10)
				sched_yield();
			*(volatile int *)ready = 1;
			for (;;)
				pause();
		}
		while (!*(volatile int *)ready)
			sched_yield();
		usleep(chance() % 2000);
		kill(child, SIGKILL);
		waitpid(child, NULL, 0);
	}
}

/*
 * Threads that come and go while every TCS is taken back from under them, by
 * calls on the enclave's memory, and signals arrive: "withdrawn".
 */
static void withdrawn(void)
{
	struct sigaction action = {
		.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_RESTART,
	};
	struct worker w[4];

	sigaction(SIGUSR1, &action, NULL);
	find_foreign();
	start(w, 4);
	for (int i = 0; i < 3000; i++) {
		volatile unsigned int before = w[i % 4].rounds;

		if (mprotect((void *)story_place, PAGE, PROT_READ | PROT_WRITE))
			give_up("mprotect");
		pthread_kill(w[chance() % 4].pthread, SIGUSR1);
		while (w[i % 4].rounds == before && chance() % 1000)
			;
	}
	finish(w, 4, "withdrawn");
	expect(misplaced, 0, "withdrawn: where handlers find the program");
}

/* ---- every instruction ------------------------------------------------- */

/*
 * A signal at every instruction of whatever does transitions without a trap,
 * one after the other: "probe", under softsgx run --probe-monitor.
 */
enum probed { PROBE_VDSO, PROBE_OWN, PROBE_SHORT, PROBE_VDSO_RESUME, PROBE_OWN_RESUME };

static void probe(enum probed probed)
{
	static const char *const names[] = {
		"vDSO", "own ENCLU", "short", "ERESUME, vDSO", "ERESUME, own ENCLU",
	};
	const char *name = names[probed];
	int resume = probed == PROBE_VDSO_RESUME || probed == PROBE_OWN_RESUME;
	unsigned int thread = fresh_thread(&e), wrong = 0, at;
	struct sigaction action = {
		.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_RESTART,
	};
	uint64_t result;

	/* Of no enclave: a call on one that runs would send the next entry to the supervisor. */
	probe_fd = open("/dev/sgx_enclave", O_RDWR);
	sigaction(SIGUSR1, &action, NULL);
	signal(SIGUSR2, on_interrupt);
	find_foreign();
	report.flaw = NULL;
	misplaced = 0;
	for (at = 1; at < 400; at++) {
		for (int i = 0; i < 3; i++)	/* nothing traps any more */
			one_transit(thread, &ways[0]), one_short_exit(thread),
			test_call(&e, thread, TEST_NOTHING, 0, 0, &result);
		handled = 0;
		probe_at = at;
		if (resume)	/* asked for by the handler of the first signal */
			wrong += !interrupted(thread, probed == PROBE_VDSO_RESUME, 1);
		else
			ioctl(probe_fd, 0xa4f0, (unsigned long)at);
		probe_at = 0;
		if (probed == PROBE_VDSO)
			wrong += !test_call(&e, thread, TEST_NOTHING, 0, 0, &result) ||
				 result != TEST_MAGIC;
		else if (probed == PROBE_OWN)
			one_transit(thread, &ways[0]);
		else if (probed == PROBE_SHORT)
			one_short_exit(thread);
		if (!handled)
			break;
		errno = 0;
	}
	close(probe_fd);
	printf("# %u instructions\n# %u ECALLs\n", at - 1, 10 * at);
	if (report.flaw)
		printf("# %s: %#llx, not %#llx\n", report.flaw,
		       (unsigned long long)report.got,
		       (unsigned long long)report.wanted);
	if (misplaced)
		printf("# a handler saw RIP = %#llx\n", (unsigned long long)where);
	expect_true(at > 100 && at < 400, "%s: a transition's instructions", name);
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
		one_transit(thread, &ways[0]);
		one_short_exit(thread);
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
	for (unsigned int i = 1; i < 3; i++) {
		t = (struct transit){
			.rbx = e.tcs[thread], .rcx = (uint64_t)transit_aep,
			.rdi = TEST_EXIT_SHORT, .flags = 0x302,
		};
		steps = 0;
		ways[i].transit(&t);
		step(0);
		expect_hex(t.rdi, TEST_MAGIC, "single steps, short %u: result", i);
		expect_true(steps > 10, "single steps, short %u: there are some", i);
	}
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
	uint64_t result;

	if (argc > 1 && !strcmp(argv[1], "killed")) {
		killed();
		return 0;
	}
	test_enclave(&e, &options);
	if (argc > 1 && !strcmp(argv[1], "probe")) {
		probe(PROBE_VDSO);
		probe(PROBE_OWN);
		probe(PROBE_SHORT);
		probe(PROBE_VDSO_RESUME);
		probe(PROBE_OWN_RESUME);
		return done();
	}
	if (argc > 1 && !strcmp(argv[1], "live")) {	/* some calls, then wait for input */
		for (int i = 0; i < 10; i++)
			test_call(&e, 1, TEST_NOTHING, 0, 0, &result);
		getchar();
		return 0;
	}
	if (argc > 1 && !strcmp(argv[1], "no-rdtsc")) {
		unsigned int thread = fresh_thread(&e);

		prctl(PR_SET_TSC, PR_TSC_SIGSEGV);
		for (int i = 0; i < 10; i++) {
			one_transit(thread, &ways[0]);
			expect_true(test_call(&e, thread, TEST_NOTHING, 0, 0, &result) &&
				    result == TEST_MAGIC, "without RDTSC: call %d", i);
		}
		expect_true(!report.flaw, "without RDTSC: registers and flags");
		return done();
	}
	if (argc > 1 && !strcmp(argv[1], "withdrawn")) {
		story_place = test_address(&e, PLACE_ARENA);
		withdrawn();
		return done();
	}
	if (argc > 2 && !strcmp(argv[1], "story")) {
		story(argv[2], argc > 3);
		return 0;
	}
	threads();		/* first: sites change under them */
	registers();
	for (int i = 0; i < 4; i++)	/* whoever is refused leaves no trace */
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
