// SPDX-License-Identifier: Apache-2.0
/*
 * Makes the calls that standard input lists, one a line, and prints each with
 * its outcome. calls BALLAST: that many pages of another enclave are touched
 * between the calls, so that pages come and go where the EPC is small.
 * calls code: prints the page that the enclaves execute instead.
 *
 * Numbers are hexadecimal. SLOT is one of eight places for a descriptor; HOW
 * is 0 for arguments in their place, or says which of them cannot be read.
 *
 *	seq N			forget everything: a new sequence begins
 *	open SLOT PATH FLAGS, close SLOT, dup SLOT SLOT
 *	create SLOT HOW SIZE BASE ATTRIBUTES XFRM MISC SSAPAGES
 *	add SLOT HOW OFFSET LENGTH SOURCE SECINFO FLAGS
 *	addpage SLOT HOW ADDRESS SOURCE SECINFO MASK
 *	sig HEX			the SIGSTRUCT of the next init
 *	init SLOT HOW
 *	provision SLOT SLOT, ioctl SLOT COMMAND
 *	restrict SLOT HOW OFFSET LENGTH PERMISSIONS RESULT COUNT
 *	modify SLOT HOW OFFSET LENGTH TYPE RESULT COUNT
 *	remove SLOT HOW OFFSET LENGTH COUNT
 *	mmap SLOT ADDRESS LENGTH PROT FLAGS OFFSET
 *	munmap ADDRESS LENGTH, mprotect ADDRESS LENGTH PROT
 *	read ADDRESS, write ADDRESS		from outside
 *	enter LEAF TCS OPERATION ARGUMENT ARGUMENT
 *	fork ... exit		in a child, for which the parent waits
 *	threads ... join	lines "NUMBER CALL", each thread its own at once
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#include "../../../../samples/lib/enter.h"
#include "../../../../samples/lib/vdso.h"

#define PAGE		4096ul
#define ARENA		0x100000000000ul
#define ARENA_SIZE	(1024 * PAGE)
#define BALLAST		0x200000000000ul
#define SLOTS		8
#define MAX_WORDS	12
#define MAX_THREADS	8
#define SOURCE_PAGES	64
#define UNREADABLE	((void *)8)

/* What the enclaves execute; and what is a page of zeros, or nothing. */
asm(".pushsection .rodata\n"
    ".balign 4096\n"
    "code:\n"
    "	mov %rcx, %r10\n"
    "	cmp $1, %rdi\n"
    "	je 1f\n"
    "	cmp $2, %rdi\n"
    "	je 2f\n"
    "	cmp $3, %rdi\n"
    "	je 3f\n"
    "0:	mov %r10, %rbx\n"
    "	mov $4, %eax\n"
    "	.byte 0x0f, 0x01, 0xd7\n"
    "1:	mov (%rsi), %rax\n"		/* read */
    "	xor %esi, %esi\n"
    "	jmp 0b\n"
    "2:	movl $1, 0xc00(%rsi)\n"		/* write, where no test looks */
    "	xor %esi, %esi\n"
    "	jmp 0b\n"
    "3:	mov %r8, %rax\n"		/* EACCEPT, EMODPE */
    "	mov %rsi, %rbx\n"
    "	mov %rdx, %rcx\n"
    "	xor %edx, %edx\n"
    "	.byte 0x0f, 0x01, 0xd7\n"
    "	mov %rax, %rsi\n"
    "	jmp 0b\n"
    ".balign 4096\n"
    ".popsection\n");
extern const uint8_t code[4096];

enum source {
	SOURCE_CODE, SOURCE_TCS, SOURCE_SECINFOS, SOURCE_JUNK,
	SOURCE_PROTECTED, SOURCE_ABSENT, SOURCE_ODD, SOURCE_SHORT, SOURCES,
};

static const char *const paths[] = {
	"/dev/sgx_enclave", "/dev/sgx_provision", "/dev/sgx/enclave",
	"/dev/sgx/provision", "/dev/sgx_enclave/", "/dev/./sgx_enclave",
};

static uint64_t sources[SOURCES];
static volatile int slots[SLOTS];
static uint8_t sigstruct[1808] __attribute__((aligned(4096)));
static char **lines;
static int nr_lines;
static uint64_t ballast_pages;
static __thread sigjmp_buf back;
static __thread volatile int expects_fault;
static __thread volatile uint64_t fault_address;

static void die(const char *what)
{
	fflush(stdout);
	fprintf(stderr, "calls: %s: %s\n", what, strerror(errno));
	_exit(2);
}

static void on_fault(int signal, siginfo_t *info, void *context)
{
	if (!expects_fault) {
		char text[128];
		int n = snprintf(text, sizeof(text),
				 "calls: signal %d code %d at %p, RIP %llx\n",
				 signal, info->si_code, info->si_addr,
				 ((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP]);

		n = write(2, text, n);
		_exit(3);
	}
	expects_fault = 0;
	fault_address = (uint64_t)info->si_addr;
	siglongjmp(back, signal);
}

static void *region(uint64_t address, size_t size, int prot)
{
	void *p = mmap((void *)address, size, prot,
		       MAP_PRIVATE | MAP_ANONYMOUS | (address ? MAP_FIXED : 0),
		       -1, 0);

	if (p == MAP_FAILED)
		die("mmap");
	return p;
}

static void fill_source(enum source kind, uint8_t *page)
{
	static const uint64_t flags[] = {
		0x20b, 0x209, 0x221, 0x223, 0x225, 0x227, 0x220, 0x410,
		0x110, 0x201, 0x203, 0x205, 0x207, 0x202, 0x1000, 0,
	};
	uint64_t *words = (uint64_t *)page;
	unsigned int i;

	switch (kind) {
	case SOURCE_CODE:
		memcpy(page, code, PAGE);
		break;
	case SOURCE_TCS:
		words[2] = PAGE;		/* OSSA: page 1 */
		*(uint32_t *)(page + 28) = 1;	/* NSSA */
		*(uint32_t *)(page + 64) = ~0u;	/* FSLIMIT */
		*(uint32_t *)(page + 68) = ~0u;
		break;
	case SOURCE_SECINFOS:
		for (i = 0; i < 16; i++)
			words[i * 8] = flags[i];
		break;
	case SOURCE_JUNK:
		memset(page, 0xff, PAGE);
		break;
	default:
		break;
	}
}

static void make_sources(void)
{
	enum source kind;
	int i;

	for (kind = 0; kind <= SOURCE_PROTECTED; kind++) {
		uint8_t *p = region(0, (SOURCE_PAGES + 1) * PAGE,
				    PROT_READ | PROT_WRITE);

		munmap(p + SOURCE_PAGES * PAGE, PAGE);
		for (i = 0; i < SOURCE_PAGES; i++)
			fill_source(kind, p + i * PAGE);
		if (kind == SOURCE_PROTECTED)
			mprotect(p, SOURCE_PAGES * PAGE, PROT_NONE);
		sources[kind] = (uint64_t)p;
	}
	sources[SOURCE_ABSENT] = 0x7000;
	sources[SOURCE_ODD] = sources[SOURCE_CODE] + 16;
	sources[SOURCE_SHORT] = sources[SOURCE_SECINFOS] +
				(SOURCE_PAGES - 2) * PAGE;
}

static char *named(long result)
{
	static __thread char text[32];

	if (result == -1)
		snprintf(text, sizeof(text), "%s", strerrorname_np(errno));
	else if (result)
		snprintf(text, sizeof(text), "%lx", result);
	else
		strcpy(text, "ok");
	return text;
}

static void do_create(uint64_t *a, char *out)
{
	static __thread uint64_t secs[512] __attribute__((aligned(4096)));
	uint64_t arg[1] = { a[1] == 2 ? (uint64_t)UNREADABLE : (uint64_t)secs };

	memset(secs, 0, PAGE);
	secs[0] = a[2];
	secs[1] = a[3];
	((uint32_t *)secs)[4] = a[7];
	((uint32_t *)secs)[5] = a[6];
	secs[6] = a[4];
	secs[7] = a[5];
	strcpy(out, named(ioctl(slots[a[0]], 0x4008A400,
				a[1] == 1 ? UNREADABLE : (void *)arg)));
}

static void do_add(uint64_t *a, char *out)
{
	uint64_t info[8] __attribute__((aligned(64))) = { a[5] };
	uint64_t arg[6] = {
		sources[a[4]], a[2], a[3],
		a[1] == 2 ? (uint64_t)UNREADABLE : (uint64_t)info, a[6], 0,
	};
	int r = ioctl(slots[a[0]], 0xC030A401,
		      a[1] == 1 ? UNREADABLE : (void *)arg);

	sprintf(out, "%s count=%lx", named(r), arg[5]);
}

static void do_add_page(uint64_t *a, char *out)
{
	uint64_t info[8] __attribute__((aligned(64))) = { a[4] };
	uint64_t arg[4] = {
		a[2], sources[a[3]],
		a[1] == 2 ? (uint64_t)UNREADABLE : (uint64_t)info, a[5],
	};

	strcpy(out, named(ioctl(slots[a[0]], 0x4020A401,
				a[1] == 1 ? UNREADABLE : (void *)arg)));
}

static void do_init(uint64_t *a, char *out)
{
	uint64_t arg[1] = {
		a[1] == 2 ? (uint64_t)UNREADABLE : (uint64_t)sigstruct,
	};

	strcpy(out, named(ioctl(slots[a[0]], 0x4008A402,
				a[1] == 1 ? UNREADABLE : (void *)arg)));
}

/* Says "being reclaimed" by EAGAIN or EBUSY: go on with the rest, as programs do. */
static void do_sgx2(uint32_t command, uint64_t *a, int words, char *out)
{
	uint64_t arg[5] = { a[2], a[3], a[4], a[5], a[6] }, done = 0;
	uint64_t *count = &arg[words - 1];
	int r, tries = 0;

	for (;;) {
		r = ioctl(slots[a[0]], command,
			  a[1] == 1 ? UNREADABLE : (void *)arg);
		if (r != -1 || (errno != EAGAIN && errno != EBUSY) ||
		    ++tries > 100000)
			break;
		done += *count;
		arg[0] += *count;
		arg[1] -= *count;
		*count = 0;
		sched_yield();
	}
	sprintf(out, "%s count=%lx result=%lx", named(r), done + *count,
		words == 5 ? arg[3] : 0);
}

static void do_map(uint64_t *a, char *out)
{
	void *p = mmap((void *)a[1], a[2], a[3], a[4], slots[a[0]], a[5]);

	if (p == MAP_FAILED) {
		strcpy(out, named(-1));
		/* What a mapping that failed leaves of those before it is nobody's promise. */
		if (a[4] & MAP_FIXED)
			munmap((void *)a[1], a[2]);
		return;
	}
	strcpy(out, "ok");
	if ((uint64_t)p != a[1])	/* wherever: it is not needed */
		munmap(p, a[2]);
}

static void do_touch(uint64_t address, int write, char *out)
{
	volatile uint32_t *p = (void *)(address + 0xc00);
	int signal = sigsetjmp(back, 1);

	if (signal) {
		sprintf(out, "%s%s", strsignal(signal)[0] == 'B' ? "SIGBUS" : "SIGSEGV",
			fault_address / PAGE == address / PAGE ? "" : " elsewhere");
		return;
	}
	expects_fault = 1;
	if (write)
		*p = 1;
	else
		(void)*p;
	expects_fault = 0;
	strcpy(out, "ok");
}

static void do_enter(uint64_t *a, char *out)
{
	struct sgx_enclave_run run;
	struct sgx_registers registers = {
		.rdi = a[2], .rsi = a[3], .rdx = a[4], .r8 = a[5],
	};
	uint16_t error;
	int r, signal = sigsetjmp(back, 1);

	if (signal) {
		sprintf(out, "signal %d", signal);
		return;
	}
	memset(&run, 0, sizeof(run));
	run.tcs = a[1];
	expects_fault = 1;
	r = sgx_enter(&registers, a[0], &run);
	expects_fault = 0;
	if (r || run.function == 4) {
		if (r)
			sprintf(out, "returned %d", r);
		else
			sprintf(out, "exit %lx", registers.rsi);
		return;
	}
	/* Whether a page table entry was there is the kernel's affair. */
	error = run.exception_error_code;
	error &= error & 0x8000 ? ~0 : ~1;
	if (run.exception_vector == 14)
		sprintf(out, "leaf %d vector 14 error %x address %llx",
			run.function, error,
			(unsigned long long)run.exception_addr & ~(PAGE - 1));
	else
		sprintf(out, "leaf %d vector %d", run.function,
			run.exception_vector);
}

static void do_sig(const char *hex)
{
	unsigned int i, byte;

	for (i = 0; i < sizeof(sigstruct); i++) {
		if (sscanf(hex + 2 * i, "%2x", &byte) != 1)
			die("sig");
		sigstruct[i] = byte;
	}
}

/* Closes what was there before: exactly once, also when threads do this at once. */
static int put_slot(int slot, int fd)
{
	return close(__atomic_exchange_n(&slots[slot], fd, __ATOMIC_SEQ_CST));
}

static void forget(void)
{
	int i;

	for (i = 0; i < SLOTS; i++)
		put_slot(i, -1);
	munmap((void *)ARENA, ARENA_SIZE);
}

static void put_ballast(void)
{
	static uint64_t secs[512] __attribute__((aligned(4096)));
	uint64_t create[1] = { (uint64_t)secs };
	uint64_t info[8] __attribute__((aligned(64))) = { 0x203 };
	uint64_t add[6], i;
	int fd = open(paths[0], O_RDWR);

	secs[0] = 4096 * PAGE;
	secs[1] = BALLAST;
	((uint32_t *)secs)[4] = 1;
	secs[6] = 4;
	secs[7] = 3;
	if (fd < 0 || ioctl(fd, 0x4008A400, create))
		die("ballast");
	for (i = 0; i < ballast_pages; i++) {
		uint64_t one[6] = {
			sources[SOURCE_SECINFOS], i * PAGE, PAGE,
			(uint64_t)info, 0, 0,
		};

		memcpy(add, one, sizeof(one));
		if (ioctl(fd, 0xC030A401, add))
			die("ballast");
	}
	if (mmap((void *)BALLAST, ballast_pages * PAGE, PROT_READ | PROT_WRITE,
		 MAP_SHARED | MAP_FIXED, fd, 0) == MAP_FAILED)
		die("ballast");
	close(fd);
}

static void touch_ballast(void)
{
	static uint64_t state = 1;
	int i;

	for (i = 0; ballast_pages && i < 3; i++) {
		state = state * 6364136223846793005ull + 1442695040888963407ull;
		++*(volatile uint32_t *)(BALLAST + (state >> 33) %
					 ballast_pages * PAGE);
	}
}

static void one_call(char *line, char *out)
{
	char copy[256], *word, *rest;
	uint64_t a[MAX_WORDS] = { 0 };
	int i;

	if (!strncmp(line, "sig ", 4)) {
		do_sig(line + 4);
		*out = 0;
		return;
	}
	snprintf(copy, sizeof(copy), "%s", line);
	word = strtok_r(copy, " ", &rest);
	for (i = 0; i < MAX_WORDS; i++) {
		char *next = strtok_r(NULL, " ", &rest);

		if (!next)
			break;
		a[i] = strtoull(next, NULL, 16);
	}
	touch_ballast();
	if (!strcmp(word, "open")) {
		int fd;

		put_slot(a[0], -1);
		fd = open(paths[a[1]], a[2], 0600);
		strcpy(out, fd < 0 ? named(-1) : "ok");
		put_slot(a[0], fd);
	} else if (!strcmp(word, "close")) {
		strcpy(out, named(put_slot(a[0], -1)));
	} else if (!strcmp(word, "dup")) {
		int fd = fcntl(slots[a[0]], F_DUPFD_CLOEXEC, 3);

		strcpy(out, fd < 0 ? named(-1) : "ok");
		put_slot(a[1], fd);
	} else if (!strcmp(word, "create")) {
		do_create(a, out);
	} else if (!strcmp(word, "add")) {
		do_add(a, out);
	} else if (!strcmp(word, "addpage")) {
		do_add_page(a, out);
	} else if (!strcmp(word, "init")) {
		do_init(a, out);
	} else if (!strcmp(word, "provision")) {
		uint64_t arg[1] = { slots[a[1]] };

		strcpy(out, named(ioctl(slots[a[0]], 0x4008A403, arg)));
	} else if (!strcmp(word, "ioctl")) {
		strcpy(out, named(ioctl(slots[a[0]], a[1], UNREADABLE)));
	} else if (!strcmp(word, "restrict")) {
		do_sgx2(0xC028A405, a, 5, out);
	} else if (!strcmp(word, "modify")) {
		do_sgx2(0xC028A406, a, 5, out);
	} else if (!strcmp(word, "remove")) {
		do_sgx2(0xC018A407, a, 3, out);
	} else if (!strcmp(word, "mmap")) {
		do_map(a, out);
	} else if (!strcmp(word, "munmap")) {
		strcpy(out, named(munmap((void *)a[0], a[1])));
	} else if (!strcmp(word, "mprotect")) {
		strcpy(out, named(mprotect((void *)a[0], a[1], a[2])));
	} else if (!strcmp(word, "read")) {
		do_touch(a[0], 0, out);
	} else if (!strcmp(word, "write")) {
		do_touch(a[0], 1, out);
	} else if (!strcmp(word, "enter")) {
		do_enter(a, out);
	} else {
		die(line);
	}
}

/* The line that ends what begins on this one. */
static int end_of(int at, const char *begin, const char *end)
{
	int depth = 0;

	for (; at < nr_lines; at++) {
		depth += !strcmp(lines[at], begin);
		if (!strcmp(lines[at], end) && !--depth)
			return at;
	}
	die("no end");
	return -1;
}

struct job {
	pthread_t thread;
	int number, first, last;
	char *text;
	size_t size;
	FILE *out;
};

static void *run_thread(void *argument)
{
	struct job *job = argument;
	char out[128];
	int i;

	for (i = job->first; i < job->last; i++) {
		if (lines[i][0] - '0' != job->number)
			continue;
		one_call(lines[i] + 2, out);
		if (*out)
			fprintf(job->out, "%s = %s\n", lines[i], out);
	}
	return NULL;
}

static void run_threads(int first, int last)
{
	struct job jobs[MAX_THREADS];
	int i;

	for (i = 0; i < MAX_THREADS; i++) {
		jobs[i] = (struct job){
			.number = i, .first = first, .last = last,
		};
		jobs[i].out = open_memstream(&jobs[i].text, &jobs[i].size);
		if (pthread_create(&jobs[i].thread, NULL, run_thread, &jobs[i]))
			die("pthread_create");
	}
	for (i = 0; i < MAX_THREADS; i++) {
		pthread_join(jobs[i].thread, NULL);
		fclose(jobs[i].out);
		fputs(jobs[i].text, stdout);
		free(jobs[i].text);
	}
}

static int run(int i, int last)
{
	char out[128];

	for (; i < last; i++) {
		if (!strncmp(lines[i], "seq ", 4)) {
			forget();
			printf("%s\n", lines[i]);
		} else if (!strcmp(lines[i], "fork")) {
			int end = end_of(i, "fork", "exit"), status;
			pid_t pid;

			fflush(stdout);
			pid = fork();
			if (pid < 0)
				die("fork");
			if (!pid) {
				run(i + 1, end);
				fflush(stdout);
				_exit(0);
			}
			waitpid(pid, &status, 0);
			printf("exit = %x\n", status);
			i = end;
		} else if (!strcmp(lines[i], "threads")) {
			int end = end_of(i, "threads", "join");

			run_threads(i + 1, end);
			i = end;
		} else {
			one_call(lines[i], out);
			if (*out)
				printf("%s = %s\n", lines[i], out);
		}
	}
	return 0;
}

static void read_lines(void)
{
	size_t room = 0, capacity = 0;
	char *line = NULL;
	ssize_t n;

	while ((n = getline(&line, &room, stdin)) > 0) {
		if (line[n - 1] == '\n')
			line[n - 1] = 0;
		if ((size_t)nr_lines == capacity) {
			capacity = capacity ? 2 * capacity : 1024;
			lines = realloc(lines, capacity * sizeof(*lines));
		}
		lines[nr_lines++] = strdup(line);
	}
	free(line);
}

int main(int argc, char **argv)
{
	struct sigaction action = {
		.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_NODEFER,
	};
	unsigned int i;

	if (argc > 1 && !strcmp(argv[1], "code")) {
		for (i = 0; i < PAGE; i++)
			printf("%02x", code[i]);
		return 0;
	}
	ballast_pages = argc > 1 ? strtoul(argv[1], NULL, 10) : 0;
	sigaction(SIGSEGV, &action, NULL);
	sigaction(SIGBUS, &action, NULL);
	sgx_vdso_enter = vdso_symbol("__vdso_sgx_enter_enclave");
	if (!sgx_vdso_enter)
		die("no vDSO function");
	for (i = 0; i < SLOTS; i++)
		slots[i] = -1;
	make_sources();
	if (ballast_pages)
		put_ballast();
	read_lines();
	run(0, nr_lines);
	forget();
	return 0;
}
