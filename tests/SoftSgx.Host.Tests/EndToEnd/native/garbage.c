// SPDX-License-Identifier: Apache-2.0
/*
 * Calls that a supervisor looks at, with arguments that make no sense. Prints
 * each result; a supervised run must print what a plain one prints.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PAGE 4096ul

static const char *name_of_path;

static void call(const char *name, long number, long a, long b, long c, long d,
		 long e, long f)
{
	long result = syscall(number, a, b, c, d, e, f);

	printf("%s(%s): %s\n", name, name_of_path,
	       result < 0 ? strerrorname_np(errno) : "ok");
	/* Descriptors that were opened are closed again. */
	if (result > 2 && result < 1000 && number != SYS_readlink &&
	    number != SYS_readlinkat && number != SYS_listxattr)
		close(result);
}

static void paths(uint64_t p)
{
	static char buffer[8192];
	struct { uint64_t flags, mode, resolve; } how = { 0, 0, 0 };
	long b = (long)buffer;

	call("open", SYS_open, p, O_RDONLY, 0, 0, 0, 0);
	call("openat", SYS_openat, AT_FDCWD, p, O_RDONLY, 0, 0, 0);
	call("openat bad directory", SYS_openat, 999, p, O_RDONLY, 0, 0, 0);
	call("openat bad flags", SYS_openat, AT_FDCWD, p, -1, 0, 0, 0);
	call("openat2", SYS_openat2, AT_FDCWD, p, (long)&how, sizeof(how), 0, 0);
	call("openat2 bad how", SYS_openat2, AT_FDCWD, p, 1, sizeof(how), 0, 0);
	call("openat2 bad size", SYS_openat2, AT_FDCWD, p, (long)&how, 3, 0, 0);
	call("stat", SYS_stat, p, b, 0, 0, 0, 0);
	call("stat bad buffer", SYS_stat, p, 1, 0, 0, 0, 0);
	call("lstat", SYS_lstat, p, b, 0, 0, 0, 0);
	call("newfstatat", SYS_newfstatat, AT_FDCWD, p, b, 0, 0, 0);
	call("newfstatat empty", SYS_newfstatat, 1, p, b, AT_EMPTY_PATH, 0, 0);
	call("newfstatat bad flags", SYS_newfstatat, AT_FDCWD, p, b, 0x8000000, 0, 0);
	call("statx", SYS_statx, AT_FDCWD, p, 0, 0x7ff, b, 0);
	call("statx bad mask", SYS_statx, AT_FDCWD, p, 0, 0x80000000, b, 0);
	call("access", SYS_access, p, F_OK, 0, 0, 0, 0);
	call("access bad mode", SYS_access, p, 77, 0, 0, 0, 0);
	call("faccessat", SYS_faccessat, AT_FDCWD, p, R_OK, 0, 0, 0);
	call("faccessat2", SYS_faccessat2, AT_FDCWD, p, R_OK, -1, 0, 0);
	call("readlink", SYS_readlink, p, b, 100, 0, 0, 0);
	call("readlink bad buffer", SYS_readlink, p, 1, 100, 0, 0, 0);
	call("readlinkat", SYS_readlinkat, AT_FDCWD, p, b, 100, 0, 0);
	call("getxattr", SYS_getxattr, p, (long)"user.x", b, 100, 0, 0);
	call("getxattr bad name", SYS_getxattr, p, 1, b, 100, 0, 0);
	call("lgetxattr", SYS_lgetxattr, p, (long)"user.x", b, 100, 0, 0);
	call("listxattr", SYS_listxattr, p, b, 100, 0, 0, 0);
	call("llistxattr", SYS_llistxattr, p, b, 100, 0, 0, 0);
	call("rt_sigaction", SYS_rt_sigaction, SIGILL, p, 0, 8, 0, 0);
}

/* A path that ends with the last byte before an unmapped page, or lacks its NUL there. */
static char *at_page_end(const char *text, size_t length)
{
	size_t pages = (length + PAGE - 1) / PAGE + 1;
	char *map = mmap(NULL, (pages + 1) * PAGE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	munmap(map + pages * PAGE, PAGE);
	return memcpy(map + pages * PAGE - length, text, length);
}

static char *repeat(const char *text, size_t length)
{
	char *s = calloc(1, length + 1);
	size_t i;

	for (i = 0; i < length; i++)
		s[i] = text[i % strlen(text)];
	return s;
}

static void all_paths(void)
{
	static const char *const ends[] = {
		"/etc/passwd", "/dev/null", "/", ".", "enclave", "provision",
		"/dev/../dev/null", "/proc/self/exe", "/dev/sgx", "/dev/sgx/x",
		"/dev/sgx_enclave/x", "/etc/passwd/enclave", "//////",
		"/proc/self/root/dev/null", "/proc/self/cwd/enclave",
	};
	static const uint64_t wild[] = {
		0, 1, 4095, 4096, 0x7fffffffffff, 0x7ffffffff000,
		0x800000000000, 0xffff800000000000, 0xfffffffffffff000, ~0ull,
		0xffffffffff600000,
	};
	char label[64], *read_protected;
	size_t i, n;

	for (i = 0; i < sizeof(wild) / sizeof(wild[0]); i++) {
		snprintf(label, sizeof(label), "0x%llx", (unsigned long long)wild[i]);
		name_of_path = label;
		paths(wild[i]);
		call("creat", SYS_creat, wild[i], 0, 0, 0, 0, 0);
	}
	for (i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		n = strlen(ends[i]);
		name_of_path = ends[i];
		if (strcmp(ends[i], "/etc/passwd") && strcmp(ends[i], "/dev/null") &&
		    n)
			paths((uint64_t)at_page_end(ends[i], n + 1));
		snprintf(label, sizeof(label), "%s without end", ends[i]);
		name_of_path = label;
		paths((uint64_t)at_page_end(ends[i], n));
	}
	for (n = 4090; n < 4100; n++) {
		snprintf(label, sizeof(label), "%zu slashes", n);
		name_of_path = label;
		paths((uint64_t)repeat("/", n));
		snprintf(label, sizeof(label), "%zu of ./", n);
		name_of_path = label;
		paths((uint64_t)repeat("./", n));
		snprintf(label, sizeof(label), "%zu to enclave", n);
		name_of_path = label;
		paths((uint64_t)strcpy(repeat("/", n) + n - 11, "sgx_enclavX") - (n - 11));
	}
	snprintf(label, sizeof(label), "100000 bytes");
	name_of_path = label;
	paths((uint64_t)repeat("abc/", 100000));
	read_protected = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS,
			      -1, 0);
	name_of_path = "protected";
	paths((uint64_t)read_protected);
}

static void mappings(void)
{
	int passwd = open("/etc/passwd", O_RDONLY), null = open("/dev/null", O_RDWR);
	int memory = memfd_create("m", 0);
	int fds[] = { -1, 999, passwd, null, memory, 0x7fffffff };
	uint64_t addresses[] = {
		0, 1, PAGE, 0x700000000000, 0x7ffffffff000, 0x800000000000,
		0xfffffffffffff000, ~0ull,
	};
	uint64_t lengths[] = {
		0, 1, PAGE, 0x7fffffffffff, 0x800000000000, ~0ull, ~0xfffull,
	};
	int protections[] = { 0, 1, 4, 5, 7, 8, -1, 0x1000004 };
	int flags[] = {
		0, MAP_SHARED, MAP_PRIVATE, MAP_SHARED_VALIDATE, 0x7fff,
		MAP_PRIVATE | MAP_FIXED_NOREPLACE,
	};
	uint64_t kept[] = { 1, PAGE };
	size_t i, j, k, l, m;

	if (ftruncate(memory, PAGE))
		return;
	name_of_path = "mmap";
	for (i = 0; i < 6; i++)
	for (j = 0; j < 8; j++)
	for (k = 0; k < 7; k++)
	for (l = 0; l < 8; l++)
	for (m = 0; m < 6; m++) {
		/* Few of the many, the same each time. */
		if ((i * 31 + j * 17 + k * 13 + l * 7 + m * 3) % 11)
			continue;
		long r = syscall(SYS_mmap, addresses[j], lengths[k],
				 protections[l], flags[m], fds[i], 0);

		printf("mmap(%zu %zu %zu %zu %zu): %s\n", i, j, k, l, m,
		       r == -1 ? strerrorname_np(errno) : "ok");
		if (r != -1)
			munmap((void *)r, lengths[k]);
	}
	for (j = 0; j < 8; j++)
	for (k = 0; k < 7; k++) {
		name_of_path = "wild";
		/* Address 0 with a huge length would unmap the program. */
		if (lengths[k] <= PAGE || addresses[j] >= 0x7ffffffff000) {
			call("munmap", SYS_munmap, addresses[j], lengths[k], 0, 0, 0, 0);
			for (l = 0; l < 8; l++)
				call("mprotect", SYS_mprotect, addresses[j],
				     lengths[k], protections[l], 0, 0, 0);
			call("pkey_mprotect", SYS_pkey_mprotect, addresses[j],
			     lengths[k], 5, 77, 0, 0);
			for (m = 0; m < 2; m++)
				call("mremap", SYS_mremap, addresses[j], lengths[k],
				     kept[m], 3, addresses[7 - j], 0);
		}
	}
	for (i = 0; i < 6; i++) {
		name_of_path = "descriptor";
		for (j = 0; j < 256; j += 5) {
			call("ioctl", SYS_ioctl, fds[i], 0xA400 + j, 1, 0, 0, 0);
			call("ioctl", SYS_ioctl, fds[i], 0xC030A400 + j, ~0ul, 0, 0, 0);
		}
	}
}

static void actions(void)
{
	struct { void *handler; unsigned long flags, restorer, mask; } action = {
		SIG_IGN, 0x04000000, 0, 0,
	};
	int i;

	name_of_path = "signal";
	for (i = -1; i < 67; i++) {
		call("rt_sigaction", SYS_rt_sigaction, i, (long)&action, 0, 8, 0, 0);
		call("rt_sigaction size", SYS_rt_sigaction, i, (long)&action, 0, 4, 0, 0);
		call("rt_sigaction old", SYS_rt_sigaction, i, 0, 1, 8, 0, 0);
		call("rt_sigaction wild", SYS_rt_sigaction, i, ~0ul, 0, 8, 0, 0);
		call("rt_sigaction both", SYS_rt_sigaction, i, (long)&action, 1, 8, 0, 0);
	}
	raise(SIGILL);
	printf("ignored\n");
}

int main(void)
{
	setvbuf(stdout, NULL, _IOFBF, 1 << 16);
	all_paths();
	mappings();
	actions();
	/* Numbers that no call has, and those of another ABI. */
	name_of_path = "none";
	call("beyond", 5000, 0, 0, 0, 0, 0, 0);
	call("minus one", -1, 0, 0, 0, 0, 0, 0);
	call("x32 open", 0x40000002, 0, 0, 0, 0, 0, 0);
	return 0;
}
