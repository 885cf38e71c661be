// SPDX-License-Identifier: Apache-2.0
/* Executes ENCLU outside enclaves, and what looks like it; prints what came. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#define PAGE 4096

static sigjmp_buf back;
static int quiet;

static void on_signal(int signal, siginfo_t *info, void *context)
{
	(void)context;
	if (!quiet)
		printf("  signal %d code %d\n", signal, info->si_code);
	siglongjmp(back, 1);
}

static void run(const char *what, const void *code, uint64_t rax, uint64_t rbx,
		uint64_t rcx)
{
	printf("%s rax %llx rbx %llx rcx %llx\n", what, (unsigned long long)rax,
	       (unsigned long long)rbx, (unsigned long long)rcx);
	if (sigsetjmp(back, 1))
		return;
	asm volatile("call *%3" : "+a"(rax), "+b"(rbx), "+c"(rcx)
		     : "r"(code) : "memory", "cc", "rdx", "r11");
	printf("  came back\n");
}

static unsigned char *code_page(const void *bytes, size_t length, int at_end)
{
	unsigned char *map = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE | PROT_EXEC,
				  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	munmap(map + PAGE, PAGE);
	return memcpy(map + (at_end ? PAGE - length : 0), bytes, length);
}

/* rt_sigreturn with the number that our vDSO's trap uses, from ordinary code. */
static void false_trap(void)
{
	static const unsigned char code[] = {
		0xB8, 15, 0, 0, 0,				/* mov eax, 15 */
		0x49, 0xBA, 0x21, 0x58, 0x47, 0x53, 0x54, 0x46, 0x4F, 0x53, /* mov r10, magic */
		0x0F, 0x05, 0xC3,				/* syscall; ret */
	};

	printf("false trap\n");
	if (sigsetjmp(back, 1))
		return;
	((void (*)(void))code_page(code, sizeof(code), 0))();
	printf("  came back\n");
}

/* The trap itself, jumped to with a stack pointer that points nowhere. */
static void trap_without_stack(void)
{
	static const unsigned char magic[] = {
		0x49, 0xBA, 0x21, 0x58, 0x47, 0x53, 0x54, 0x46, 0x4F, 0x53,
		0x0F, 0x05,
	};
	unsigned char *vdso = (unsigned char *)getauxval(AT_SYSINFO_EHDR);
	unsigned char *at = vdso ? memmem(vdso, 2 * PAGE, magic, sizeof(magic)) : NULL;
	stack_t stack = { .ss_sp = malloc(65536), .ss_size = 65536 };
	uint64_t stacks[] = { 0, 8, 0x800000000000, ~7ull, 4096 };
	size_t i;

	printf("trap without a stack\n");
	if (!at) {
		printf("  there is none\n");
		return;
	}
	sigaltstack(&stack, NULL);
	for (i = 0; i < 5; i++) {
		if (sigsetjmp(back, 1))
			continue;
		asm volatile("mov %0, %%rsp; mov $15, %%eax; jmp *%1"
			     : : "r"(stacks[i]), "r"(at) : "rax", "rbx", "memory");
	}
}

int main(int argc, char **argv)
{
	static const unsigned char enclu[] = { 0x0F, 0x01, 0xD7, 0xC3 };
	static const unsigned char near[][4] = {
		{ 0x0F, 0x01, 0xC0, 0xC3 }, { 0x0F, 0x01, 0xCF, 0xC3 },
		{ 0x66, 0x0F, 0x01, 0xD7 }, { 0xF3, 0x0F, 0x01, 0xD7 },
		{ 0xF0, 0x0F, 0x01, 0xD7 }, { 0x48, 0x0F, 0x01, 0xD7 },
	};
	static const int signals[] = { SIGILL, SIGSEGV, SIGBUS, SIGTRAP, SIGFPE };
	static const uint64_t addresses[] = {
		0, 1, PAGE, 0x7ffffffff000, 0x800000000000, ~0ull, ~0xfffull,
	};
	struct sigaction action = {
		.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_ONSTACK,
	};
	unsigned char *page = code_page(enclu, sizeof(enclu), 0);
	uint64_t leaf;
	size_t i;

	setvbuf(stdout, NULL, _IOLBF, 0);
	for (i = 0; i < 5; i++)
		sigaction(signals[i], &action, NULL);
	for (leaf = 0; leaf <= 20; leaf++)
		run("enclu", page, leaf, 0, 0);
	run("enclu", page, ~0ull, 0, 0);
	run("enclu", page, 0x100000002ull, 0, 0);
	for (i = 0; i < 7; i++) {
		run("enclu", page, 2, addresses[i], 0);
		run("enclu", page, 3, addresses[i], addresses[i]);
	}
	run("enclu at the end", code_page(enclu, 3, 1), 2, 0, 0);
	run("two bytes at the end", code_page(enclu, 2, 1), 2, 0, 0);
	for (i = 0; i < 6; i++)
		run("like enclu", code_page(near[i], 4, 0), 0x42, 0, 0);
	if (argc > 1 && !strcmp(argv[1], "false-trap"))
		false_trap();
	quiet = 1;	/* which fault it is differs */
	trap_without_stack();
	quiet = 0;
	if (argc > 1 && !strcmp(argv[1], "deadly"))
		signal(SIGSEGV, SIG_DFL);
	run("the last", page, 2, 0, 0);
	printf("end\n");
	return 0;
}
