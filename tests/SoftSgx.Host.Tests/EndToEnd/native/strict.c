// SPDX-License-Identifier: Apache-2.0
/* softsgx run --strict: enclave memory as the program sees it from outside. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <immintrin.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include "../../../../samples/lib/loader.h"
#include "strict.h"

#define THREADS 6
#define ONES (~0ull)

static char path[4096];
static struct enclave enclave;
static uint8_t *memory;
static unsigned int nr_checks, nr_failures;

static void die(const char *what)
{
	printf("%s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t ecall(unsigned int thread, uint64_t number, void *argument)
{
	uint64_t result;

	if (enclave_ecall(&enclave, thread, number, argument, &result))
		die("ECALL");
	return result;
}

static void build(unsigned int heap_pages)
{
	struct enclave_options options = { .threads = THREADS + 2, .heap_pages = heap_pages };

	if (enclave_build(&enclave, path, &options))
		die("enclave_build");
	memory = (uint8_t *)ecall(0, CALL_ADDRESS, NULL);
}

static void check(int ok, const char *what)
{
	__atomic_fetch_add(&nr_checks, 1, __ATOMIC_RELAXED);
	if (!ok) {
		__atomic_fetch_add(&nr_failures, 1, __ATOMIC_RELAXED);
		printf("wrong: %s\n", what);
	}
}

static int tell(const char *what)
{
	uint64_t wrong = ecall(0, CALL_WRONG, NULL);

	if (wrong)
		printf("the enclave finds %lu words changed\n", wrong);
	printf("%s: %s\n", what, nr_failures || wrong ? "WRONG" : "as on hardware");
	if (!nr_checks)
		printf("nothing was checked\n");
	return nr_failures || wrong;
}

#define READ(insn, type, p) ({						\
	type _v = 0;							\
	__asm__ volatile (insn : "+r"(_v) : "m"(*(const type *)(p)) : "cc", "memory"); \
	_v;								\
})

#define WRITE(insn, type, p, value)					\
	__asm__ volatile (insn : "+m"(*(type *)(p)) : "r"((type)(value)) : "cc", "memory")

static void reads(uint8_t *p)
{
	uint64_t a, b, flags;
	uint8_t xmm[64];

	check(READ("movb %1, %0", uint8_t, p) == 0xff, "movb");
	check(READ("movw %1, %0", uint16_t, p) == 0xffff, "movw");
	check(READ("movl %1, %0", uint32_t, p) == 0xffffffff, "movl");
	check(READ("movq %1, %0", uint64_t, p) == ONES, "movq");
	__asm__ volatile ("movzbl %1, %k0" : "=r"(a) : "m"(*p));
	check(a == 0xff, "movzx");
	__asm__ volatile ("movswq %1, %0" : "=r"(a) : "m"(*(uint16_t *)p));
	check(a == ONES, "movsx");
	__asm__ volatile ("movb %1, %%ah; movzbl %%ah, %k0" : "=a"(a) : "m"(*p));
	check(a == 0xff, "movb to ah");
	/* The base is the destination, a source, and both operands' register. */
	a = (uint64_t)p;
	__asm__ volatile ("movq (%0), %0" : "+r"(a));
	check(a == ONES, "movq over its base");
	a = (uint64_t)p;
	__asm__ volatile ("addq (%0), %0" : "+r"(a));
	check(a == (uint64_t)p - 1, "addq to its base");
	a = (uint64_t)p;
	__asm__ volatile ("cmpq %1, (%1); setne %b0" : "=q"(b) : "r"(a) : "cc");
	check((b & 1) == 1, "cmpq with its base");
	__asm__ volatile ("movq -24(%1,%2,8), %0" : "=r"(a) : "r"(p), "r"(3ul));
	check(a == ONES, "movq by base and index");
	__asm__ volatile ("movq (,%1,8), %0" : "=r"(a) : "r"((uint64_t)p / 8));
	check(a == ONES, "movq by index alone");
	__asm__ volatile ("cmpl $-1, %1; sete %b0" : "=q"(a) : "m"(*(uint32_t *)p) : "cc");
	check((a & 1) == 1, "cmpl");
	__asm__ volatile ("testb $1, %1; setnz %b0" : "=q"(a) : "m"(*p) : "cc");
	check((a & 1) == 1, "testb");
	a = 5;
	__asm__ volatile ("addq %2, %0; pushfq; popq %1" : "+r"(a), "=r"(flags) : "m"(*(uint64_t *)p) : "cc");
	check(a == 4 && (flags & 1), "addq, with carry");
	__asm__ volatile ("pushq %1; popq %0" : "=r"(a) : "m"(*(uint64_t *)p));
	check(a == ONES, "pushq");
	__asm__ volatile ("popcntq %1, %0" : "=r"(a) : "m"(*(uint64_t *)p) : "cc");
	check(a == 64, "popcnt");
	__asm__ volatile ("btl $7, %1; setc %b0" : "=q"(a) : "m"(*(uint32_t *)p) : "cc");
	check((a & 1) == 1, "bt");
	__asm__ volatile ("movdqu %1, %%xmm1; movdqu %%xmm1, %0" : "=m"(*(__m128i_u *)xmm) : "m"(*(__m128i_u *)p) : "xmm1");
	for (a = 0, b = 0; a < 16; a++)
		b += xmm[a] == 0xff;
	check(b == 16, "movdqu");
	__asm__ volatile ("pxor %%xmm2, %%xmm2; pcmpeqd %%xmm3, %%xmm3; pxor %1, %%xmm3; movdqu %%xmm3, %0"
			  : "=m"(*(__m128i_u *)xmm) : "m"(*(__m128i *)((uint64_t)p & ~15ull)) : "xmm2", "xmm3");
	check(xmm[0] == 0 && xmm[15] == 0, "pxor, aligned");
	__asm__ volatile ("cvtsi2sdl %1, %%xmm4; movsd %%xmm4, %0" : "=m"(*(double *)xmm) : "m"(*(int *)p) : "xmm4");
	check(*(double *)xmm == -1.0, "cvtsi2sd");
	if (__builtin_cpu_supports("avx2")) {
		__asm__ volatile ("vpcmpeqd %%ymm5, %%ymm5, %%ymm5; vpaddd %1, %%ymm5, %%ymm5; vmovdqu %%ymm5, %0"
				  : "=m"(*(__m256i_u *)xmm) : "m"(*(__m256i_u *)p) : "xmm5");
		check(xmm[0] == 0xfe && xmm[28] == 0xfe && xmm[29] == 0xff, "vpaddd");
		__asm__ volatile ("vpbroadcastb %1, %%ymm5; vmovdqu %%ymm5, %0" : "=m"(*(__m256i_u *)xmm) : "m"(*p) : "xmm5");
		check(xmm[31] == 0xff, "vpbroadcastb");
	}
	__asm__ volatile ("fildl %1; fistpl %0" : "=m"(*(int *)xmm) : "m"(*(int *)p));
	check(*(int *)xmm == -1, "fild");
	/* Compilers' own code, too. */
	check(*(volatile uint64_t *)p == ONES, "C");
	check(!memcmp(p, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 17), "memcmp");
}

static void writes(uint8_t *p)
{
	uint64_t a, b;
	uint8_t ymm[32];

	WRITE("movb %1, %0", uint8_t, p, 1);
	WRITE("movw %1, %0", uint16_t, p, 2);
	WRITE("movl %1, %0", uint32_t, p, 3);
	WRITE("movq %1, %0", uint64_t, p, 4);
	WRITE("addl %1, %0", uint32_t, p, 5);
	WRITE("lock xorq %1, %0", uint64_t, p, 6);
	__asm__ volatile ("movl $7, %0" : "=m"(*(uint32_t *)p));
	__asm__ volatile ("movq %0, (%0)" : : "r"(p) : "memory");
	__asm__ volatile ("incb %0" : "+m"(*p) : : "cc");
	a = 8;
	__asm__ volatile ("xchgq %0, %1" : "+r"(a), "+m"(*(uint64_t *)p));
	check(a == ONES, "xchg");
	a = 9;
	__asm__ volatile ("lock xaddl %k0, %1" : "+r"(a), "+m"(*(uint32_t *)p) : : "cc");
	check((uint32_t)a == 0xffffffff, "xadd");
	a = ONES;
	__asm__ volatile ("lock cmpxchgq %2, %1; sete %b0" : "+a"(a), "+m"(*(uint64_t *)p) : "r"(10ul) : "cc");
	check((a & 0xff) == 1, "cmpxchg that finds ones");
	a = 11;
	__asm__ volatile ("lock cmpxchgq %2, %1" : "+a"(a), "+m"(*(uint64_t *)p) : "r"(10ul) : "cc");
	check(a == ONES, "cmpxchg that does not");
	a = b = ONES;
	__asm__ volatile ("lock cmpxchg16b %2" : "+a"(a), "+d"(b), "+m"(*(__m128i *)((uint64_t)p & ~15ull))
			  : "b"(1ul), "c"(2ul) : "cc");
	check(a == ONES && b == ONES, "cmpxchg16b");
	__asm__ volatile ("pushq $12; popq %0" : "=m"(*(uint64_t *)p));
	__asm__ volatile ("stmxcsr %0" : "=m"(*(uint32_t *)p));
	__asm__ volatile ("pxor %%xmm1, %%xmm1; movdqu %%xmm1, %0" : "=m"(*(__m128i_u *)p) : : "xmm1");
	__asm__ volatile ("movntiq %1, %0" : "=m"(*(uint64_t *)p) : "r"(13ul));
	__asm__ volatile ("fld1; fstpl %0" : "=m"(*(double *)p));
	if (__builtin_cpu_supports("avx")) {
		memset(ymm, 0, sizeof(ymm));
		__asm__ volatile ("vmovdqu %1, %%ymm1; vmovdqu %%ymm1, %0" : "=m"(*(__m256i_u *)p) : "m"(*(__m256i_u *)ymm) : "xmm1");
	}
	*(volatile uint64_t *)p = 14;
	check(*(volatile uint64_t *)p == ONES, "a write followed by a read");
}

static void strings(uint8_t *p)
{
	static uint8_t buffer[3 * 4096];
	uint8_t *from = p, *to = buffer;
	uint64_t n = 5000, i, a;
	uint64_t equal;

	memset(buffer, 0, sizeof(buffer));
	__asm__ volatile ("rep movsb" : "+S"(from), "+D"(to), "+c"(n) : : "memory");
	for (i = 0; i < 5000 && buffer[i] == 0xff; i++)
		;
	check(i == 5000 && !buffer[5000] && n == 0 && from == p + 5000 && to == buffer + 5000, "rep movsb out");
	from = buffer + 4000;
	to = p;
	n = 1000;
	__asm__ volatile ("rep movsq" : "+S"(from), "+D"(to), "+c"(n) : : "memory");
	check(n == 0 && from == buffer + 12000 && to == p + 8000, "rep movsq in");
	from = p + 800;
	to = p;
	n = 1000;
	__asm__ volatile ("rep movsl" : "+S"(from), "+D"(to), "+c"(n) : : "memory");
	check(n == 0 && from == p + 4800 && to == p + 4000, "rep movsl within");
	to = p;
	n = 9000;
	__asm__ volatile ("rep stosb" : "+D"(to), "+c"(n) : "a"(0) : "memory");
	check(n == 0 && to == p + 9000, "rep stosb");
	from = p + 6000;
	to = buffer + 6000;
	n = 6001;
	memset(buffer, 0, sizeof(buffer));
	__asm__ volatile ("std; rep movsb; cld" : "+S"(from), "+D"(to), "+c"(n) : : "memory");
	for (i = 0; i <= 6000 && buffer[i] == 0xff; i++)
		;
	check(i == 6001 && !buffer[i] && from == p - 1 && n == 0, "rep movsb downwards");
	to = p;
	n = 6000;
	__asm__ volatile ("repe scasb; sete %b2" : "+D"(to), "+c"(n), "=q"(equal) : "a"(0xff) : "cc", "memory");
	check(n == 0 && to == p + 6000 && (equal & 1), "repe scasb");
	to = p;
	n = 6000;
	__asm__ volatile ("repne scasb; sete %b2" : "+D"(to), "+c"(n), "=q"(equal) : "a"(0xff) : "cc", "memory");
	check(n == 5999 && to == p + 1 && (equal & 1), "repne scasb");
	memset(buffer, 0xff, sizeof(buffer));
	buffer[5555] = 0;
	from = p;
	to = buffer;
	n = 6000;
	__asm__ volatile ("repe cmpsb; sete %b3" : "+S"(from), "+D"(to), "+c"(n), "=q"(equal) : : "cc", "memory");
	check(n == 6000 - 5556 && from == p + 5556 && !(equal & 1), "repe cmpsb");
	from = p;
	__asm__ volatile ("lodsq" : "=a"(a), "+S"(from) : : "memory");
	check(a == ONES && from == p + 8, "lodsq");
	memcpy(buffer, p, 8192);
	check(buffer[0] == 0xff && buffer[8191] == 0xff, "memcpy out");
	memset(p, 0, 8192);
	memcpy(p, path, 4096);
}

/* Operands that no register holds. */
static void no_register(uint8_t *p)
{
	uint64_t hint;
	uint8_t *code = MAP_FAILED;

	for (hint = enclave.base - (1 << 20); code == MAP_FAILED && hint > enclave.base - (1 << 30); hint -= 1 << 20)
		code = mmap((void *)hint, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	if (code == MAP_FAILED)
		die("mmap");
	memcpy(code, "\x48\x8b\x05....\xc3", 8);
	*(int32_t *)(code + 3) = (int32_t)(p - (code + 7));
	memcpy(code + 16, "\x48\xa1........\xc3", 11);
	*(uint64_t *)(code + 18) = (uint64_t)p;
	memcpy(code + 32, "\x48\xa3........\xc3", 11);
	*(uint64_t *)(code + 34) = (uint64_t)p;
	memcpy(code + 48, "\x83\x3d....\xff\x0f\x94\xc0\x0f\xb6\xc0\xc3", 14);
	*(int32_t *)(code + 50) = (int32_t)(p - (code + 55));
	if (mprotect(code, 4096, PROT_READ | PROT_EXEC))
		die("mprotect");
	check(((uint64_t (*)(void))code)() == ONES, "RIP-relative");
	check(((uint64_t (*)(void))(code + 16))() == ONES, "absolute load");
	((void (*)(void))(code + 32))();
	check(((uint64_t (*)(void))(code + 48))() == 1, "RIP-relative with an immediate");
	munmap(code, 4096);
}

static int accesses(void)
{
	reads(memory);
	reads(memory + 123);
	reads(memory + 4096 - 1);	/* into the next page */
	reads((uint8_t *)enclave.tcs[0]);
	writes(memory);
	writes(memory + 4096 - 3);
	strings(memory);
	strings(memory + 4096 - 5);
	no_register(memory);
	no_register(memory + 4093);
	return tell("accesses");
}

static sigjmp_buf back;
static volatile int last_signal, last_code;
static void *volatile last_address;

static volatile uint64_t last_rip, last_return;

extern char after_call[];

static void on_fault(int signal, siginfo_t *info, void *context)
{
	ucontext_t *state = context;

	last_rip = state->uc_mcontext.gregs[REG_RIP];
	last_return = *(uint64_t *)state->uc_mcontext.gregs[REG_RSP];
	last_signal = signal;
	last_code = info->si_code;
	last_address = info->si_addr;
	siglongjmp(back, 1);
}

#define FAULTS(statement) ({				\
	last_signal = 0;				\
	if (!sigsetjmp(back, 1)) {			\
		statement;				\
	}						\
	last_signal;					\
})

/* What is a fault on hardware is one here. */
static int faults(void)
{
	struct sigaction action = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO };
	volatile uint8_t *constant = (uint8_t *)enclave.base, *absent;
	const struct enclave_region *region = &enclave.regions[0];
	unsigned int i;

	sigaction(SIGSEGV, &action, NULL);
	sigaction(SIGBUS, &action, NULL);
	for (i = 0; i < enclave.nr_regions; i++)
		if (enclave.regions[i].prot == (PROT_READ | PROT_EXEC))
			region = &enclave.regions[i];
	constant = (uint8_t *)enclave.base + region->offset;
	check(FAULTS(((void (*)(void))constant)()) == SIGSEGV && last_address == constant, "code executed outside");
	check(FAULTS(constant[5] = 1) == SIGSEGV && last_address == constant + 5 && last_code == SEGV_ACCERR, "a write to code");
	check(constant[5] == 0xff, "a read of code");
	/* All ones is an address that nobody can execute. */
	check(FAULTS(__asm__ volatile ("jmp *%0" : : "m"(*(uint64_t *)memory))) == SIGSEGV && last_rip == ONES, "jmp through ones");
	check(FAULTS(__asm__ volatile ("call *%0\nafter_call:" : : "m"(*(uint64_t *)memory) : "memory")) == SIGSEGV
	      && last_rip == ONES && last_return == (uint64_t)after_call, "call through ones");
	if (mprotect(memory, 4096, PROT_NONE))
		die("mprotect");
	check(FAULTS((void)*(volatile uint8_t *)memory) == SIGSEGV && last_address == memory, "a mapping without access");
	if (mprotect(memory, 4096, PROT_READ))
		die("mprotect");
	check(*(volatile uint8_t *)memory == 0xff, "a mapping to read");
	check(FAULTS(*(volatile uint8_t *)memory = 0) == SIGSEGV, "a write to a mapping to read");
	if (mprotect(memory, 4096, PROT_READ | PROT_WRITE))
		die("mprotect");
	absent = mmap((void *)(enclave.base + enclave.size - 4096), 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, enclave.fd, 0);
	if (absent == MAP_FAILED)
		die("mmap");
	check(FAULTS((void)absent[9]) == SIGBUS && last_address == absent + 9 && last_code == BUS_ADRERR, "a read of an absent page");
	check(FAULTS(absent[10] = 1) == SIGBUS && last_address == absent + 10, "a write to an absent page");
	/* The kernel's own accesses fail; on hardware they read ones. */
	check(write(open("/dev/null", O_WRONLY), memory, 16) == 16 || errno == EFAULT, "write(2)");
	int pipes[2];

	if (pipe(pipes))
		die("pipe");
	check(write(pipes[1], memory, 16) == -1 && errno == EFAULT, "write(2) to a pipe");
	return tell("faults");
}

static volatile sig_atomic_t nr_alarms;

static void on_alarm(int signal)
{
	(void)signal;
	nr_alarms++;
	check(*(volatile uint32_t *)(memory + 4096) == 0xffffffff, "a read in a handler");
}

static void on_trap(int signal)
{
	(void)signal;
	nr_alarms += 1000000;
}

/* Signals at 1 kHz on reads, strings and ECALLs; and fault signals that the program has its own mind about. */
static int signals(void)
{
	struct itimerval every = { { 0, 1000 }, { 0, 1000 } }, never = { { 0, 0 }, { 0, 0 } };
	struct sigaction action = { .sa_handler = on_alarm, .sa_flags = SA_RESTART }, seen;
	struct sigaction trap = { .sa_handler = on_trap };
	static uint8_t buffer[PAGES * 4096];
	struct timespec start, now;
	sigset_t set, old;
	int i;

	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &every, NULL);
	clock_gettime(CLOCK_MONOTONIC, &start);
	do {
		for (i = 0; i < 20; i++)
			reads(memory + i);
		memset(buffer, 0, sizeof(buffer));
		memcpy(buffer, memory, sizeof(buffer));
		for (i = 0; i < (int)sizeof(buffer) && buffer[i] == 0xff; i++)
			;
		check(i == sizeof(buffer), "memcpy under signals");
		check(ecall(0, CALL_WRONG, NULL) == 0, "ECALL under signals");
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while (now.tv_sec - start.tv_sec < 3);
	setitimer(ITIMER_REAL, &never, NULL);
	check(nr_alarms > 100, "alarms");
	nr_alarms = 0;

	/* Handlers stay, and are not called; what is blocked stays blocked. */
	sigaction(SIGTRAP, &trap, NULL);
	sigaction(SIGSEGV, &trap, NULL);
	sigfillset(&set);
	sigprocmask(SIG_BLOCK, &set, &old);
	raise(SIGTRAP);
	reads(memory);
	sigprocmask(SIG_BLOCK, NULL, &set);
	check(sigismember(&set, SIGTRAP) == 1 && sigismember(&set, SIGSEGV) == 1, "blocked signals");
	check(nr_alarms == 0, "no handler");
	sigprocmask(SIG_SETMASK, &old, NULL);
	check(nr_alarms == 1000000, "the program's own SIGTRAP, once");
	reads(memory);
	sigaction(SIGTRAP, NULL, &seen);
	check(seen.sa_handler == on_trap, "the handler of SIGTRAP");
	sigaction(SIGSEGV, NULL, &seen);
	check(seen.sa_handler == on_trap, "the handler of SIGSEGV");
	trap.sa_handler = SIG_IGN;
	sigaction(SIGTRAP, &trap, NULL);
	sigaction(SIGSEGV, &trap, NULL);
	reads(memory);
	sigaction(SIGTRAP, NULL, &seen);
	check(seen.sa_handler == SIG_IGN, "SIGTRAP stays ignored");
	sigaction(SIGSEGV, NULL, &seen);
	check(seen.sa_handler == SIG_IGN, "SIGSEGV stays ignored");
	return tell("signals");
}

static void *read_often(void *argument)
{
	int i;

	(void)argument;
	for (i = 0; i < 30; i++) {
		reads(memory + i);
		writes(memory + 4096 + i);
	}
	return NULL;
}

static void *call_often(void *thread)
{
	int i;

	for (i = 0; i < 300; i++)
		check(ecall((long)thread, CALL_WRONG, NULL) == 0, "data inside");
	return NULL;
}

/* Threads outside, all at once; then threads that go in and out. */
static int threads(void)
{
	pthread_t thread[THREADS];
	long i;

	for (i = 0; i < THREADS; i++)
		if (pthread_create(&thread[i], NULL, read_often, NULL))
			die("pthread_create");
	for (i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
	for (i = 0; i < THREADS; i++)
		if (pthread_create(&thread[i], NULL, call_often, (void *)(i + 1)))
			die("pthread_create");
	for (i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
	reads(memory);
	return tell("threads");
}

static volatile uint64_t held __attribute__((aligned(4096)));

static void *hold(void *argument)
{
	(void)argument;
	ecall(1, CALL_HOLD, (void *)&held);
	return NULL;
}

/* While a thread is inside, the others see what is there. Faults inside let nobody in. */
static int inside(void)
{
	struct sgx_registers registers = { .rdi = CALL_DIVIDE };
	struct sgx_enclave_run run;
	pthread_t thread;

	memset(&run, 0, sizeof(run));
	pthread_create(&thread, NULL, hold, NULL);
	while (!held)
		sched_yield();
	check(*(volatile uint64_t *)memory == pattern(0), "open while a thread is inside");
	held = 2;
	pthread_join(thread, NULL);
	reads(memory);
	check(enclave_enter(&enclave, 2, 2, &registers, &run) == 1 && run.exception_vector == 0, "#DE");
	reads(memory);
	/* A thread that dies inside leaves the enclave, too. */
	held = 0;
	if (!fork()) {
		pthread_create(&thread, NULL, hold, NULL);
		while (!held)
			sched_yield();
		_exit(0);
	}
	wait(NULL);
	reads(memory);
	return tell("inside");
}

/* A child inherits the mappings, and goes its own way. */
static int forks(void)
{
	pthread_t thread;
	int i, status;
	pid_t child;

	for (i = 0; i < 4; i++) {
		if (i == 2) {	/* also while the parent's memory is open */
			pthread_create(&thread, NULL, hold, NULL);
			while (!held)
				sched_yield();
		}
		child = fork();
		if (!child) {
			reads(memory);
			writes(memory);
			check(ecall(3, CALL_WRONG, NULL) == 0, "ECALL of the child");
			reads(memory);
			strings(memory);
			fflush(stdout);
			_exit(nr_failures != 0);
		}
		if (waitpid(child, &status, 0) != child || status)
			check(0, "the child");
	}
	held = 2;
	pthread_join(thread, NULL);
	reads(memory);
	check(ecall(0, CALL_WRONG, NULL) == 0, "ECALL of the parent");
	return tell("forks");
}

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec * 1e-9;
}

/* What ECALLs and reads from outside cost: measure ECALLS READS HEAP_PAGES. */
static int measure(int n, int reads)
{
	double start;
	int i;

	ecall(0, CALL_TOUCH, NULL);
	start = seconds();
	for (i = 0; i < n; i++)
		ecall(0, CALL_NOTHING, NULL);
	printf("%.1f us an ECALL\n", (seconds() - start) / n * 1e6);
	start = seconds();
	for (i = 0; i < reads; i++)
		(void)*(volatile uint64_t *)memory;
	if (reads)
		printf("%.1f us a read from outside\n", (seconds() - start) / reads * 1e6);
	return 0;
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";

	setvbuf(stdout, NULL, _IOLBF, 0);
	strcpy(path, enclave_beside_program("strict.enclave"));
	build(argc > 4 ? atoi(argv[4]) : 0);
	if (!strcmp(what, "accesses"))
		return accesses();
	if (!strcmp(what, "faults"))
		return faults();
	if (!strcmp(what, "signals"))
		return signals();
	if (!strcmp(what, "threads"))
		return threads();
	if (!strcmp(what, "inside"))
		return inside();
	if (!strcmp(what, "forks"))
		return forks();
	if (!strcmp(what, "measure"))
		return measure(argc > 2 ? atoi(argv[2]) : 3000, argc > 3 ? atoi(argv[3]) : 0);
	return 2;
}
