// SPDX-License-Identifier: Apache-2.0
/* The device files: what a program sees of them before any ioctl. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support.h"

static const char *const devices[] = {
	"/dev/sgx_enclave", "/dev/sgx_provision",
	"/dev/sgx/enclave", "/dev/sgx/provision",
};

#define NR_DEVICES (sizeof(devices) / sizeof(devices[0]))

/* The older names are udev's links on a real machine, if it has the rule. */
static bool missing(const char *path)
{
	struct stat status;

	if (strncmp(path, "/dev/sgx/", 9) || !stat(path, &status) ||
	    !getenv("SGX_NO_OLD_NAMES"))
		return false;
	skip("no udev rule for the older names", "%s", path);
	return true;
}

static void test_stat(const char *path)
{
	struct stat by_stat = { 0 }, by_lstat = { 0 }, by_at = { 0 };
	struct statx by_statx = { 0 };

	expect_errno(stat(path, &by_stat), 0, "stat %s", path);
	expect_true(S_ISCHR(by_stat.st_mode), "stat %s: a character device", path);
	expect_errno(lstat(path, &by_lstat), 0, "lstat %s", path);
	expect_true(S_ISCHR(by_lstat.st_mode) || S_ISLNK(by_lstat.st_mode),
		    "lstat %s: a character device, or a link to one", path);
	expect_errno(fstatat(AT_FDCWD, path, &by_at, 0), 0, "fstatat %s", path);
	expect_hex(by_at.st_rdev, by_stat.st_rdev,
		   "fstatat %s: the number that stat gives", path);
	expect_hex(by_at.st_ino, by_stat.st_ino,
		   "fstatat %s: the inode that stat gives", path);

	expect_errno(statx(AT_FDCWD, path, 0, STATX_BASIC_STATS, &by_statx), 0,
		     "statx %s", path);
	expect_true(S_ISCHR(by_statx.stx_mode), "statx %s: a character device",
		    path);
	expect_hex(makedev(by_statx.stx_rdev_major, by_statx.stx_rdev_minor),
		   by_stat.st_rdev, "statx %s: the number that stat gives", path);
}

static void test_raw_stat(const char *path)
{
	struct stat status = { 0 };

	expect_errno(syscall(SYS_stat, path, &status), 0, "SYS_stat %s", path);
	expect_true(S_ISCHR(status.st_mode), "SYS_stat %s: device", path);
	memset(&status, 0, sizeof(status));
	expect_errno(syscall(SYS_newfstatat, AT_FDCWD, path, &status, 0), 0,
		     "SYS_newfstatat %s", path);
	expect_true(S_ISCHR(status.st_mode), "SYS_newfstatat %s: device", path);
	expect_errno(syscall(SYS_stat, path, NULL), EFAULT,
		     "SYS_stat %s: nowhere to", path);
}

static void test_access(const char *path)
{
	expect_errno(access(path, F_OK), 0, "access %s", path);
	expect_errno(access(path, R_OK | W_OK), 0, "access %s: to use", path);
	expect_errno(access(path, X_OK), EACCES, "access %s: to execute", path);
	expect_errno(faccessat(AT_FDCWD, path, R_OK | W_OK, 0), 0,
		     "faccessat %s", path);
	expect_errno(faccessat(AT_FDCWD, path, R_OK | W_OK, AT_EACCESS), 0,
		     "faccessat %s: effective", path);
	expect_errno(syscall(SYS_faccessat, AT_FDCWD, path, F_OK), 0,
		     "SYS_faccessat %s", path);
}

static long open_how(const char *path, uint64_t flags)
{
	struct open_how how = { .flags = flags };

	return syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof(how));
}

static void expect_open(long fd, const char *how, const char *path)
{
	expect_errno(fd, 0, "%s %s", how, path);
	if (fd >= 0)
		close(fd);
}

static void test_open(const char *path)
{
	FILE *file = fopen(path, "r+");

	expect_open(open(path, O_RDWR), "open O_RDWR", path);
	expect_open(open(path, O_RDONLY), "open O_RDONLY", path);
	expect_open(open(path, O_RDWR | O_NOCTTY | O_NONBLOCK),
		    "open O_NONBLOCK", path);
	expect_open(syscall(SYS_open, path, O_RDWR), "SYS_open", path);
	expect_open(syscall(SYS_openat, AT_FDCWD, path, O_RDWR), "SYS_openat",
		    path);
	expect_open(open_how(path, O_RDWR), "SYS_openat2", path);
	expect_open(open(path, O_RDWR | O_CREAT, 0600), "open O_CREAT", path);
	expect_true(file, "fopen %s", path);
	if (file)
		fclose(file);

	expect_errno(open(path, O_RDWR | O_CREAT | O_EXCL, 0600), EEXIST,
		     "open O_EXCL %s", path);
	expect_errno(open(path, O_RDWR | O_DIRECTORY), ENOTDIR,
		     "open O_DIRECTORY %s", path);
}

static int descriptor_flags(const char *path, int flags)
{
	int fd = open(path, flags), r = fd < 0 ? -1 : fcntl(fd, F_GETFD);

	if (fd >= 0)
		close(fd);
	return r;
}

static int status_flags(const char *path, int flags)
{
	int fd = open(path, flags), r = fd < 0 ? -1 : fcntl(fd, F_GETFL);

	if (fd >= 0)
		close(fd);
	return r & (O_ACCMODE | O_NONBLOCK | O_APPEND);
}

static void test_flags(const char *path)
{
	expect(descriptor_flags(path, O_RDWR | O_CLOEXEC), FD_CLOEXEC,
	       "open %s: O_CLOEXEC is honoured", path);
	expect(descriptor_flags(path, O_RDWR), 0,
	       "open %s: no O_CLOEXEC unasked", path);
	expect_hex(status_flags(path, O_RDWR), O_RDWR,
		   "open %s: F_GETFL says O_RDWR", path);
	expect_hex(status_flags(path, O_RDONLY), O_RDONLY,
		   "open %s: F_GETFL says O_RDONLY", path);
}

/* The same file by other ways. */
static void test_relative(void)
{
	int root = open("/", O_PATH | O_DIRECTORY);
	int dev = open("/dev", O_RDONLY | O_DIRECTORY);
	char old[4096];
	struct stat status;

	if (root < 0 || dev < 0 || !getcwd(old, sizeof(old)))
		give_up("no root, no /dev or no working directory");
	expect_open(openat(dev, "sgx_enclave", O_RDWR), "openat /dev:",
		    "sgx_enclave");
	expect_open(openat(dev, "./sgx_provision", O_RDWR), "openat /dev:",
		    "./sgx_provision");
	expect_open(openat(dev, "../dev/sgx_enclave", O_RDWR), "openat /dev:",
		    "../dev/sgx_enclave");
	expect_open(openat(root, "dev/sgx_enclave", O_RDWR), "openat /:",
		    "dev/sgx_enclave");
	expect_errno(fstatat(dev, "sgx_enclave", &status, 0), 0,
		     "fstatat /dev: sgx_enclave");
	expect_errno(faccessat(dev, "sgx_enclave", R_OK, 0), 0,
		     "faccessat /dev: sgx_enclave");
	expect_errno(openat(root, "sgx_enclave", O_RDWR), ENOENT,
		     "openat /: sgx_enclave");
	expect_errno(openat(-1, "sgx_enclave", O_RDWR), EBADF,
		     "openat -1: sgx_enclave");
	expect_open(openat(-1, "/dev/sgx_enclave", O_RDWR), "openat -1:",
		    "/dev/sgx_enclave");

	if (!chdir("/dev")) {
		expect_open(open("sgx_enclave", O_RDWR), "open in /dev",
			    "sgx_enclave");
		expect_errno(stat("sgx_enclave", &status), 0,
			     "stat in /dev sgx_enclave");
	}
	if (!chdir("/"))
		expect_open(open("dev/sgx_enclave", O_RDWR), "open in /",
			    "dev/sgx_enclave");
	if (chdir(old))
		give_up("the working directory is gone");
	close(root);
	close(dev);
}

static void test_spellings(void)
{
	static const char *const paths[] = {
		"/dev//sgx_enclave", "//dev/sgx_enclave", "/dev/./sgx_enclave",
		"/dev/../dev/sgx_enclave",
	};
	unsigned int i;

	for (i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
		expect_open(open(paths[i], O_RDWR), "open", paths[i]);
	expect_errno(open("/dev/sgx_enclave/", O_RDWR), ENOTDIR,
		     "open /dev/sgx_enclave/");
}

static void test_link(void)
{
	char directory[] = "/tmp/sgx-link-XXXXXX", path[64];

	if (!mkdtemp(directory))
		give_up("no temporary directory");
	snprintf(path, sizeof(path), "%s/enclave", directory);
	if (symlink("/dev/sgx_enclave", path))
		give_up("no symbolic link");
	expect_open(open(path, O_RDWR), "open", "a link to /dev/sgx_enclave");
	unlink(path);
	rmdir(directory);
}

static void test_missing(void)
{
	static const char *const paths[] = {
		"/dev/sgx_enclav", "/dev/sgx_enclave2", "/dev/sgx_provisio",
		"/dev/sgx/enclaves", "/dev/sgx/enclave2", "/dev/sgx_",
		"/sgx_enclave", "/dev/sgx-enclave",
	};
	struct stat status;
	unsigned int i;

	for (i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		expect_errno(open(paths[i], O_RDWR), ENOENT, "open %s", paths[i]);
		expect_errno(stat(paths[i], &status), ENOENT, "stat %s",
			     paths[i]);
		expect_errno(access(paths[i], F_OK), ENOENT, "access %s",
			     paths[i]);
	}
	expect_errno(open("", O_RDWR), ENOENT, "open the empty name");
}

/* Names at the very end of what is mapped, and beyond. */
static void test_name_memory(void)
{
	static const char name[] = "/dev/sgx_enclave";
	char *area = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *end = area + PAGE;

	if (area == MAP_FAILED || munmap(end, PAGE))
		give_up("no memory");
	memcpy(end - sizeof(name), name, sizeof(name));
	expect_open(open(end - sizeof(name), O_RDWR),
		    "open with a name at the end of a page:", name);
	memcpy(end - sizeof(name) + 1, name, sizeof(name) - 1);
	expect_errno(open(end - sizeof(name) + 1, O_RDWR), EFAULT,
		     "open with a name without end");
	expect_errno(syscall(SYS_open, NULL, O_RDWR), EFAULT, "open NULL");
	munmap(area, PAGE);
}

/* A descriptor is that of a character device, whatever stands behind it. */
static void test_descriptor(void)
{
	struct stat by_path = { 0 }, by_fd = { 0 };
	int fd = open("/dev/sgx_enclave", O_RDWR);
	char byte = 0;

	stat("/dev/sgx_enclave", &by_path);
	expect_errno(fstat(fd, &by_fd), 0, "fstat");
	expect_true(S_ISCHR(by_fd.st_mode), "fstat: a character device");
	expect_hex(by_fd.st_rdev, by_path.st_rdev, "fstat: stat's number");
	expect_errno(read(fd, &byte, 1), EINVAL, "read");
	expect_errno(write(fd, &byte, 1), EINVAL, "write");
	expect_errno(pread(fd, &byte, 1, 0), EINVAL, "pread");
	expect_errno(ftruncate(fd, 4096), EINVAL, "ftruncate");
	expect_errno(fallocate(fd, 0, 0, 4096), ENODEV, "fallocate");
	close(fd);
}

static void test_two_opens(void)
{
	struct enclave a, b;

	tiny_open(&a);
	tiny_open(&b);
	tiny_create(&a);
	tiny_create(&b);
	tiny_add(&a);
	tiny_add(&b);
	tiny_sign(&a);
	tiny_init(&a);
	tiny_sign(&b);
	tiny_init(&b);
	expect_true(true, "two opens are two enclaves");
	expect_bytes(a.mrenclave, b.mrenclave, SGX_HASH_SIZE,
		     "of the same measurement");
	enclave_destroy(&a);
	enclave_destroy(&b);
}

static void test_dup(void)
{
	struct enclave e;
	int copy;

	tiny_open(&e);
	copy = fcntl(e.fd, F_DUPFD_CLOEXEC, 100);
	expect_errno(copy, 0, "dup");
	tiny_create(&e);
	expect_errno(ioctl(copy, SGX_IOC_ENCLAVE_CREATE,
			   &(struct sgx_enclave_create){ (uint64_t)&e.secs }),
		     EINVAL, "a duplicate is the same enclave");
	close(e.fd);
	e.fd = copy;
	tiny_add(&e);
	expect_true(true, "a duplicate survives the original");
	enclave_destroy(&e);
}

static void test_reuse(void)
{
	struct enclave e;
	int old;

	tiny_open(&e);
	tiny_create(&e);
	old = e.fd;
	close(e.fd);
	e.fd = open("/dev/sgx_enclave", O_RDWR);
	expect(e.fd, old, "a closed descriptor's number is used again");
	expect_errno(enclave_create(&e), 0, "and is a fresh enclave");
	enclave_destroy(&e);
}

/* A child has the descriptor too, unless it executes something. */
static void test_fork(void)
{
	struct enclave e;
	int status = 0;
	pid_t child;

	tiny_open(&e);
	fflush(stdout);
	child = fork();
	if (child == 0)
		_exit(enclave_create(&e) ? 1 : 0);
	waitpid(child, &status, 0);
	expect(status, 0, "a child creates by an inherited descriptor");
	expect_errno(ioctl(e.fd, SGX_IOC_ENCLAVE_CREATE,
			   &(struct sgx_enclave_create){ (uint64_t)&e.secs }),
		     EINVAL, "and the parent sees it created");
	enclave_destroy(&e);
}

int main(void)
{
	unsigned int i;

	for (i = 0; i < NR_DEVICES; i++) {
		if (missing(devices[i]))
			continue;
		test_stat(devices[i]);
		test_raw_stat(devices[i]);
		test_access(devices[i]);
		test_open(devices[i]);
		test_flags(devices[i]);
	}
	test_relative();
	test_spellings();
	test_link();
	test_missing();
	test_name_memory();
	test_descriptor();
	test_two_opens();
	test_dup();
	test_reuse();
	test_fork();
	return done();
}
