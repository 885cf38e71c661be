// SPDX-License-Identifier: Apache-2.0
/*
 * Everything that a program can see of random entries, exits, exceptions and
 * signals: "visible_state SEED [ROUNDS]" prints it, the same in every run.
 * What it is right or wrong against is another implementation's output.
 * Addresses are shown relative to what they point into.
 */
#define _GNU_SOURCE
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <ucontext.h>
#include <unistd.h>

#include "support.h"
#include "transitions.h"

#define ARITHMETIC	0x8d5
#define DIRECTION	0x400
#define TRAP		0x100

static struct enclave e;
static unsigned int thread;	/* whose TCS is in use */
static uint64_t seed;
static const uint8_t *stack;
static volatile sig_atomic_t alarms;

extern const uint8_t __executable_start[], _end[];

static uint64_t chance(void)
{
	seed = test_stir(seed);
	return seed >> 16 ^ seed << 40;
}

/* "NAME PLACE+OFFSET"; numbers that are no address have no place. */
static void show(const char *name, uint64_t value)
{
	const char *place = "";
	uint64_t base = 0;

	if (value >> 47 == 1 << 16)	/* not canonical */
		(place = "!", value &= ~(1ull << 63));
	if (value - e.base <= e.size)
		(place = *place ? "!enclave+" : "enclave+", base = e.base);
	else if (value - (uint64_t)__executable_start <
		 (uint64_t)(_end - __executable_start))
		(place = "program+", base = (uint64_t)__executable_start);
	else if (value - ((uint64_t)stack - (1 << 20)) < 1 << 21)
		(place = "stack+", base = (uint64_t)stack - (1 << 20));
	else if (value - ((uint64_t)sgx_vdso_enter & -4096ull) < 8192)
		(place = "vdso+", base = (uint64_t)sgx_vdso_enter & -4096ull);
	printf(" %s %s%" PRIx64, name, place, value - base);
}

/* The general registers of whatever structure has them by these names. */
#define SHOW_REGISTERS(p)						\
	do {								\
		show("rax", (p)->rax), show("rbx", (p)->rbx);		\
		show("rcx", (p)->rcx), show("rdx", (p)->rdx);		\
		show("rsi", (p)->rsi), show("rdi", (p)->rdi);		\
		show("rbp", (p)->rbp), show("rsp", (p)->rsp);		\
		show("r8", (p)->r8), show("r9", (p)->r9);		\
		show("r10", (p)->r10), show("r11", (p)->r11);		\
		show("r12", (p)->r12), show("r13", (p)->r13);		\
		show("r14", (p)->r14), show("r15", (p)->r15);		\
	} while (0)

static void show_frame(const struct enclave_frame *f)
{
	printf("  inside:");
	SHOW_REGISTERS(f);
	show("rflags", f->rflags);
	show("mxcsr", f->mxcsr), show("fcw", f->fcw);
	printf("\n");
}

static void show_gpr(const struct sgx_gprsgx *g)
{
	printf("  ssa:");
	SHOW_REGISTERS(g);
	show("rflags", g->rflags), show("rip", g->rip);
	show("ursp", g->ursp), show("urbp", g->urbp);
	show("exitinfo", g->exitinfo), show("aexnotify", g->aexnotify);
	show("fs", g->fsbase), show("gs", g->gsbase);
	printf("\n");
}

static void show_run(const struct sgx_enclave_run *run, int result)
{
	printf("  vdso: %d function %u vector %u error %u", result, run->function,
	       run->exception_vector, run->exception_error_code);
	show("address", run->exception_addr);
	printf("\n");
}

static uint64_t base_of(int gs)
{
	uint64_t base;

	if (gs)
		asm("rdgsbase %0" : "=r"(base));
	else
		asm("rdfsbase %0" : "=r"(base));
	return base;
}

/* A second entry asks the enclave what it knows, and to go on behind it. */
static void handle(void)
{
	static struct test_exception exception;
	struct sgx_enclave_run run = { 0 };
	struct sgx_registers registers = {
		.rdi = HANDLE_RECORD, .rsi = (uint64_t)&exception,
	};
	int result;

	memset(&exception, 0, sizeof(exception));
	result = enclave_enter(&e, thread, SGX_EENTER, &registers, &run);
	show_run(&run, result);
	show_gpr(&exception.state);
	registers = (struct sgx_registers){ .rdi = HANDLE_RECOVER };
	memset(&run, 0, sizeof(run));
	result = enclave_enter(&e, thread, SGX_EENTER, &registers, &run);
	show_run(&run, result);
}

static void on_fault(int number, siginfo_t *info, void *pointer)
{
	ucontext_t *context = pointer;
	greg_t *r = context->uc_mcontext.gregs;

	printf("  signal %d code %d", number, info->si_code);
	show("address", (uint64_t)info->si_addr);
	show("rax", r[REG_RAX]), show("rbx", r[REG_RBX]), show("rcx", r[REG_RCX]);
	show("rdx", r[REG_RDX]), show("rsi", r[REG_RSI]), show("rdi", r[REG_RDI]);
	show("rbp", r[REG_RBP]), show("rsp", r[REG_RSP]), show("r8", r[REG_R8]);
	show("r9", r[REG_R9]), show("r10", r[REG_R10]), show("r11", r[REG_R11]);
	show("r12", r[REG_R12]), show("r13", r[REG_R13]), show("r14", r[REG_R14]);
	show("r15", r[REG_R15]), show("rip", r[REG_RIP]), show("rflags", r[REG_EFL]);
	printf("\n");
	if (r[REG_RIP] == (greg_t)transit_aep)
		handle();		/* and ERESUME */
	else if (r[REG_RIP] == (greg_t)transit_enclu ||
		 r[REG_RIP] == (greg_t)transit_short_enclu)
		r[REG_RIP] += 3;	/* refused: on behind it */
	else
		give_up("a fault elsewhere");
}

static void on_alarm(int number)
{
	(void)number;
	alarms++;
}

static void on_step(int number, siginfo_t *info, void *pointer)
{
	greg_t *r = ((ucontext_t *)pointer)->uc_mcontext.gregs;
	uint64_t at = r[REG_RIP] - (uint64_t)transit;

	if (info->si_code != TRAP_TRACE) {
		on_fault(number, info, pointer);
		return;
	}
	if (at < (uint64_t)(transit_aep - (const uint8_t *)transit))
		printf("  step %" PRIx64 "\n", at);
	else
		r[REG_EFL] &= ~TRAP;	/* back from there */
	if (r[REG_RIP] - e.base < e.size)
		printf("  a step inside\n");
}

static const struct {
	uint64_t call, rsi, rdx;
} faults[] = {
	{ TEST_DIVIDE, 0, 0 },
	{ TEST_UD2, 0, 0 },
	{ TEST_INT3, 0, 0 },
	{ TEST_SYSCALL, 0, 0 },
	{ TEST_ILLEGAL, ILLEGAL_INT80, 0 },
	{ TEST_ILLEGAL, ILLEGAL_IN, 0 },
	{ TEST_EXCEPTION, VECTOR_MF, 0 },
	{ TEST_EXCEPTION, VECTOR_XM, 0 },
	{ TEST_READ, 1ull << 63, 0 },
	{ TEST_READ, 8, 0 },
	{ TEST_WRITE, 0, 1 },		/* to code */
};

static struct transit random_registers(void)
{
	return (struct transit){
		.rbx = e.tcs[thread], .rcx = (uint64_t)transit_aep,
		.rdx = chance(), .rsi = chance(), .rbp = chance(),
		.r8 = chance(), .r9 = chance(), .r10 = chance(),
		.r11 = chance(), .r12 = chance(), .r13 = chance(),
		.r14 = chance(), .r15 = chance(),
		.flags = (chance() & (ARITHMETIC | DIRECTION)) | 0x202,
	};
}

static void enter(struct transit *t)
{
	uint32_t mxcsr = 0x1f80 | (chance() & 3) << 13, after;
	uint8_t in[16], out[16];

	for (int i = 0; i < 16; i++)
		in[i] = chance();
	asm volatile("ldmxcsr %0; movdqu %1, %%xmm11"
		     : : "m"(mxcsr), "m"(in) : "xmm11");
	if (chance() & 1)
		transit(t);
	else
		transit_short(t);
	asm volatile("stmxcsr %0; movdqu %%xmm11, %1" : "=m"(after), "=m"(out));
	mxcsr = 0x1f80;
	asm volatile("ldmxcsr %0; fninit" : : "m"(mxcsr));
	printf("  outside:");
	SHOW_REGISTERS(t);
	show("rflags", t->flags);
	show("mxcsr", after), show("xmm11", out[0] ^ in[0]);
	printf("\n");
}

static void round_registers(uint64_t trap)
{
	static struct test_registers inside;
	struct transit t = random_registers();

	memset(&inside, 0, sizeof(inside));
	t.rsi = (uint64_t)&inside;
	t.rdi = TEST_REGISTERS;
	t.flags |= trap;
	enter(&t);
	show_frame(&inside.frame);
	printf("  segments:");
	show("fs", inside.fs_base), show("gs", inside.gs_base);
	printf("\n");
}

static void round_return(void)
{
	static struct test_return r;
	struct transit t = random_registers();

	r = (struct test_return){ chance(), chance(), chance(), chance(), chance() };
	t.rsi = (uint64_t)&r;
	t.rdi = chance() & 1 ? TEST_RETURN : TEST_EXIT_DF;
	enter(&t);
}

static void round_refused(void)
{
	struct transit t = random_registers();

	t.rdi = TEST_NOTHING;
	switch (chance() % 5) {
	case 0:
		t.rbx += 8;
		break;
	case 1:
		t.rbx = e.base + e.size;
		break;
	case 2:
		t.rbx |= 1ull << 63;
		break;
	case 3:
		t.rcx = 1ull << 63;
		break;
	case 4:
		t.rbx = test_address(&e, PLACE_ARENA);
		break;
	}
	enter(&t);
}

static void round_exception(void)
{
	unsigned int i = chance() % (sizeof(faults) / sizeof(faults[0]));
	struct transit t = random_registers();

	t.rdi = faults[i].call;
	t.rsi = faults[i].rsi;
	t.rdx = faults[i].rdx;
	if (faults[i].call == TEST_WRITE)
		t.rsi = test_address(&e, PLACE_CODE);
	enter(&t);
}

static void round_vdso(void)
{
	unsigned int i = chance() % (sizeof(faults) / sizeof(faults[0]));
	struct sgx_enclave_run run = { 0 };
	struct sgx_registers registers = {
		.rdi = faults[i].call, .rsi = faults[i].rsi, .rdx = faults[i].rdx,
		.r8 = chance(), .r9 = chance(),
	};
	int result;

	if (faults[i].call == TEST_WRITE)
		registers.rsi = test_address(&e, PLACE_CODE);
	if (chance() & 1)
		registers.rdi = TEST_NOTHING;
	result = enclave_enter(&e, thread, SGX_EENTER, &registers, &run);
	show_run(&run, result);
	if (result == 1) {
		handle();
		registers = (struct sgx_registers){ .r8 = chance() };
		memset(&run, 0, sizeof(run));
		result = enclave_enter(&e, thread, SGX_ERESUME, &registers, &run);
		show_run(&run, result);
	}
	printf("  registers:");
	show("rdi", registers.rdi), show("rsi", registers.rsi);
	show("rdx", registers.rdx), show("r8", registers.r8);
	show("r9", registers.r9);
	printf("\n");
	if (chance() % 4)
		return;
	registers = (struct sgx_registers){ 0 };	/* nothing to resume, no TCS, no leaf */
	memset(&run, 0, sizeof(run));
	i = chance() % 3;
	run.tcs = e.tcs[thread] + (i == 1 ? 4096 : 0);
	result = sgx_enter(&registers, i == 0 ? SGX_ERESUME : i == 1 ? SGX_EENTER : 7, &run);
	show_run(&run, result);
}

/* What is interrupted a hundred times ends with the same registers. */
static void round_interrupted(void)
{
	struct itimerval often = { { 0, 200 }, { 0, 200 } }, never = { 0 };
	struct transit t = random_registers();

	t.rdi = TEST_SPIN;
	t.rdx = 1000000 + chance() % 1000000;
	t.flags &= ~DIRECTION;
	setitimer(ITIMER_REAL, &often, NULL);
	enter(&t);
	setitimer(ITIMER_REAL, &never, NULL);
}

int main(int argc, char **argv)
{
	struct enclave_options options = { .threads = 8, .debug = true, .exinfo = true };
	struct sigaction fault = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_NODEFER };
	struct sigaction step = { .sa_sigaction = on_step, .sa_flags = SA_SIGINFO };
	struct sigaction alarm = { .sa_handler = on_alarm, .sa_flags = SA_RESTART };
	long rounds = argc > 2 ? strtol(argv[2], NULL, 0) : 200;
	static const int signals[] = { SIGILL, SIGFPE, SIGSEGV, SIGBUS };
	uint64_t fs, gs;

	if (argc < 2) {
		fprintf(stderr, "usage: %s SEED [ROUNDS]\n", argv[0]);
		return 1;
	}
	seed = strtoull(argv[1], NULL, 0);
	stack = (const uint8_t *)&fs;
	for (unsigned int i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		sigaction(signals[i], &fault, NULL);
	sigaction(SIGTRAP, &step, NULL);
	sigaction(SIGALRM, &alarm, NULL);
	test_enclave(&e, &options);
	fs = base_of(0);
	gs = base_of(1);
	for (long i = 0; i < rounds; i++) {
		unsigned int kind = chance() % 16;

		thread = 1 + chance() % 4;
		printf("%ld: kind %u thread %u\n", i, kind, thread);
		if (kind < 4)
			round_registers(0);
		else if (kind == 4)
			round_registers(TRAP);
		else if (kind < 7)
			round_return();
		else if (kind == 7)
			round_refused();
		else if (kind < 11)
			round_exception();
		else if (kind < 15)
			round_vdso();
		else
			round_interrupted();
		if (base_of(0) != fs || base_of(1) != gs)
			give_up("FS or GS");
	}
	printf("interrupted: %s\n", alarms ? "yes" : "no");
	return 0;
}
