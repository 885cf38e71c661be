// SPDX-License-Identifier: Apache-2.0
/*
 * Random sequences of the calls that a supervisor looks at, with half-valid
 * arguments, from two threads: fuzz SEED SECONDS. It ends with status 33.
 *
 * What it writes to and truncates are the devices and the file "plain" in the
 * working directory; no other file is ever opened, and none created. Mappings
 * come and go in an arena of their own, so that whatever happens outside it,
 * a fault included, is not the program's doing.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PAGE 4096ul
#define ARENA 0x600000000000ul	/* where mappings may come and go */
#define ARENA_PAGES 64

static time_t end;
static __thread uint64_t state;
static __thread sigjmp_buf back;

static uint64_t any(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

static uint64_t below(uint64_t n)
{
	return any() % n;
}

static uint64_t number(void)
{
	switch (below(8)) {
	case 0: return 0;
	case 1: return below(8);
	case 2: return PAGE << below(8);
	case 3: return ~0ull - below(8192);
	case 4: return any();
	case 5: return 1ull << below(64);
	case 6: return ARENA + below(ARENA_PAGES) * PAGE;
	default: return below(4) * PAGE;
	}
}

/* For mappings: in the arena, or where nothing can be. */
static uint64_t place(void)
{
	switch (below(16)) {
	case 0: return below(8);
	case 1: return (1ull << 47) + any() % (1ull << 62);
	case 2: return ARENA + below(ARENA_PAGES * PAGE);
	default: return ARENA + below(ARENA_PAGES) * PAGE;
	}
}

static uint64_t extent(void)
{
	return below(16) ? (1 + below(8)) * PAGE : below(2) ? below(3) : ~0ull - below(8192);
}

static int descriptor(void)
{
	return 3 + below(20);
}

static uint64_t words[8192];	/* both threads write here all the time */

static uint64_t *structure(void)
{
	uint64_t *s = words + below(4096);
	int i;

	for (i = 0; i < 8; i++)
		s[i] = below(3) ? place() : number();
	return below(8) ? s : (uint64_t *)place();
}

static const char *path(void)
{
	static const char *const paths[] = {
		"/dev/sgx_enclave", "/dev/sgx_provision", "/dev/sgx/enclave",
		"/dev/sgx/provision", "plain", "/dev/./sgx_enclave",
		"./plain", "/dev//sgx_enclave",
	};

	return below(16) ? paths[below(8)] : (const char *)number();
}

static void secs(uint64_t *s)
{
	memset(s, 0, 4096);
	s[0] = PAGE << below(8);
	s[1] = ARENA;
	s[2] = 1 | (uint64_t)below(3) << 32;
	s[6] = 4 + below(4);
	s[7] = 3;
}

static void secinfo(uint64_t *s)
{
	static const uint64_t flags[] = { 0x201, 0x203, 0x205, 0x207, 0x100 };

	memset(s, 0, 64);
	s[0] = below(8) ? flags[below(5)] : number();
}

static void ioctl_once(void)
{
	static const uint32_t commands[] = {
		0x4008A400, 0xC030A401, 0x4008A402, 0x4008A403, 0xC028A405,
		0xC028A406, 0xC018A407, 0x4020A401,
	};
	static __thread uint64_t s[1024] __attribute__((aligned(4096)));
	static __thread uint64_t info[8] __attribute__((aligned(64)));
	uint64_t *arg = structure();
	uint32_t command = below(16) ? commands[below(8)] : 0xA400 + below(256);

	if (command == 0x4008A400 && below(8)) {
		secs(s);
		arg = words;
		words[0] = (uint64_t)s;
	}
	if (command == 0xC030A401 && below(8)) {
		secinfo(info);
		arg = words + 16;
		arg[0] = (uint64_t)s;
		arg[1] = below(64) * PAGE;
		arg[2] = PAGE * (1 + below(3));
		arg[3] = (uint64_t)info;
		arg[4] = below(2);
		arg[5] = 0;
	}
	syscall(SYS_ioctl, descriptor(), command, arg);
}

static void enclu(void)
{
	uint64_t rax = below(12), rbx = place(), rcx = place();

	asm volatile(".byte 0x0f, 0x01, 0xd7" : "+a"(rax), "+b"(rbx), "+c"(rcx)
		     : : "memory", "cc", "rdx");
}

static void once(void)
{
	struct { uint64_t a[4]; } action = { { 0, 0x04000000, 0, 0 } };
	static char buffer[4096];

	switch (below(16)) {
	case 0:
	case 1:
		syscall(SYS_openat, AT_FDCWD, path(), below(4) ? O_RDWR : (int)any() & ~(O_CREAT | O_TMPFILE | O_TRUNC), 0);
		break;
	case 2:
	case 3:
	case 4:
		ioctl_once();
		break;
	case 5:
	case 6:
		syscall(SYS_mmap, place(), extent(), below(8),
			below(4) ? MAP_SHARED | MAP_FIXED : (int)(below(4) | MAP_FIXED),
			descriptor(), below(2) * PAGE);
		break;
	case 7:
		syscall(SYS_munmap, place(), extent());
		break;
	case 8:
		syscall(SYS_mprotect, place(), extent(), below(8));
		break;
	case 9:
		syscall(SYS_mremap, place(), extent(), extent(), below(4), place());
		break;
	case 10:
		syscall(SYS_close, descriptor());
		break;
	case 11:
		syscall(SYS_newfstatat, AT_FDCWD, path(), buffer, 0);
		syscall(SYS_fstat, descriptor(), below(8) ? (uint64_t)buffer : number());
		break;
	case 12:
		syscall(SYS_rt_sigaction, below(2) ? SIGFPE : SIGTRAP, &action, 0, 8);
		syscall(SYS_dup2, descriptor(), descriptor());
		break;
	case 13:
		syscall(SYS_ftruncate, descriptor(), number());
		syscall(SYS_fallocate, descriptor(), 3, place() % (64 * PAGE), PAGE);
		syscall(SYS_write, descriptor(), buffer, below(4096));
		break;
	case 14:
		if (!sigsetjmp(back, 1))
			enclu();
		break;
	default:
		if (!sigsetjmp(back, 1))
			*(volatile char *)(ARENA + below(ARENA_PAGES * PAGE)) = any();
		break;
	}
}

static void on_fault(int signal)
{
	(void)signal;
	siglongjmp(back, 1);
}

static void *work(void *seed)
{
	state = (uint64_t)seed * 0x9e3779b97f4a7c15ull | 1;
	while (time(NULL) < end) {
		int i;

		for (i = 0; i < 50; i++)
			once();
	}
	return NULL;
}

int main(int argc, char **argv)
{
	uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 1;
	pthread_t other;

	close(open("plain", O_RDWR | O_CREAT, 0600));
	end = time(NULL) + (argc > 2 ? atoi(argv[2]) : 2);
	signal(SIGSEGV, on_fault);
	signal(SIGBUS, on_fault);
	signal(SIGILL, on_fault);
	pthread_create(&other, NULL, work, (void *)(seed + 1));
	work((void *)seed);
	pthread_join(other, NULL);
	return 33;
}
