// SPDX-License-Identifier: Apache-2.0
/*
 * Does to the vDSO image what no sane program does, then goes on:
 * vdso unmap|overwrite|protect|move
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096

static size_t mapped_from(unsigned long start)
{
	unsigned long from, to;
	char line[512];
	FILE *f = fopen("/proc/self/maps", "re");
	size_t size = 0;

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "%lx-%lx", &from, &to) == 2 && from == start)
			size = to - from;
	if (f)
		fclose(f);
	return size;
}

/* Without the C library's calls of the vDSO from here on. */
int main(int argc, char **argv)
{
	unsigned long vdso = getauxval(AT_SYSINFO_EHDR);
	const char *what = argc > 1 ? argv[1] : "";
	size_t size = mapped_from(vdso);
	char line[128];
	long fd, fork_child;
	int i, status = 0;

	if (!size) {
		puts("no vDSO");
		return 1;
	}
	fflush(stdout);
	if (!strcmp(what, "unmap"))
		munmap((void *)vdso, size);
	if (!strcmp(what, "overwrite")) {
		mprotect((void *)vdso, size, PROT_READ | PROT_WRITE | PROT_EXEC);
		memset((void *)vdso, 0xcc, size);
	}
	if (!strcmp(what, "protect"))
		mprotect((void *)vdso, size, PROT_NONE);
	if (!strcmp(what, "move"))
		mremap((void *)vdso, size, size, MREMAP_MAYMOVE | MREMAP_FIXED,
		       0x500000000000ul);
	for (i = 0; i < 3; i++) {
		fd = syscall(SYS_openat, AT_FDCWD, "/dev/sgx_enclave", O_RDWR);
		syscall(SYS_ioctl, fd, 0x4008A400, vdso);
		mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0);
		syscall(SYS_close, fd);
		syscall(SYS_openat, AT_FDCWD, "/dev/sgx_provision", O_RDWR);
	}
	asm volatile("" ::: "memory");
	fork_child = syscall(SYS_fork);
	if (!fork_child)
		syscall(SYS_exit_group, 3);
	syscall(SYS_wait4, fork_child, &status, 0, NULL);
	snprintf(line, sizeof(line), "went on, child %d\n", WEXITSTATUS(status));
	syscall(SYS_write, 1, line, strlen(line));
	syscall(SYS_exit_group, 0);
}
