// SPDX-License-Identifier: Apache-2.0
/*
 * One thread rewrites what another's calls point to while they are made, or
 * takes the mapping away. racing SECONDS
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define PAGE 4096

static char *shared;
static volatile int done;
static volatile int device = -1;

static void *rewrite(void *unused)
{
	static const char *const paths[] = {
		"/dev/sgx_enclave", "/dev/null", "./plain", "/dev/sgx_provision",
		"sgx_enclave", "", "/dev/sgx/enclave", "/dev/sgx/provision",
	};
	unsigned int i;

	for (i = 0; !done; i++) {
		strcpy(shared, paths[i % 8]);
		((uint64_t *)(shared + 512))[i % 8] = i * 0x9e3779b97f4a7c15ull;
		if (i % 64 == 0)
			mprotect(shared, PAGE, PROT_NONE);
		if (i % 64 == 1)
			mprotect(shared, PAGE, PROT_READ | PROT_WRITE);
		if (i % 1000 == 0)
			close(device);
		if (i % 64 == 0)
			while (mprotect(shared, PAGE, PROT_READ | PROT_WRITE))
				;
	}
	return unused;
}

int main(int argc, char **argv)
{
	time_t end = time(NULL) + (argc > 1 ? atoi(argv[1]) : 1);
	struct stat st;
	pthread_t thread;
	long calls = 0;

	shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	pthread_create(&thread, NULL, rewrite, NULL);
	while (time(NULL) < end) {
		int fd = syscall(SYS_openat, AT_FDCWD, shared, O_RDWR);

		calls++;
		device = fd;
		syscall(SYS_stat, shared, &st);
		syscall(SYS_access, shared, R_OK);
		syscall(SYS_openat2, AT_FDCWD, shared, shared + 512, 24);
		if (fd >= 0) {
			void *map;

			syscall(SYS_ioctl, fd, 0x4008A400, shared + 512);
			syscall(SYS_ioctl, fd, 0xC030A401, shared + 512);
			syscall(SYS_ioctl, fd, 0x4008A402, shared + 512);
			syscall(SYS_ioctl, fd, 0x4008A403, shared + 512);
			syscall(SYS_ioctl, fd, 0xC018A407, shared + 512);
			map = mmap(NULL, 4 * PAGE, 7, MAP_SHARED, fd, 0);
			if (map != MAP_FAILED)
				munmap(map, 4 * PAGE);
			close(fd);
		}
		/* What openat2 opened. */
		syscall(SYS_close_range, 3, ~0u, 0);
	}
	done = 1;
	pthread_join(thread, NULL);
	printf("%s\n", calls > 0 ? "ended" : "nothing done");
	return 21;
}
