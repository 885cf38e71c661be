// SPDX-License-Identifier: Apache-2.0
/* Who may run what, and with which keys; each subcommand is a test. */
#define _GNU_SOURCE
#include <cpuid.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../../../samples/lib/loader.h"
#include "security.h"

#define NOBODY 65534

static char path[4096];
static struct enclave enclave;

static void die(const char *what)
{
	printf("%s: %s\n", what, strerror(errno));
	exit(1);
}

static int device(const char *name)
{
	struct stat status;
	int fd = open(name, O_RDWR);

	printf("open %s", fd < 0 ? strerror(errno) : "ok");
	printf(", access %s", access(name, R_OK | W_OK) ? strerror(errno) : "ok");
	if (stat(name, &status))
		printf(", stat %s\n", strerror(errno));
	else
		printf(", mode %o %u:%u\n", status.st_mode & 07777,
		       status.st_uid, status.st_gid);
	return fd;
}

static void become_nobody(void)
{
	if (setgroups(0, NULL) || setgid(NOBODY) || setuid(NOBODY) ||
	    prctl(PR_SET_DUMPABLE, 1))
		die("become nobody");
}

static int send_descriptor(int socket, int fd)
{
	char byte = 0, control[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec data = { &byte, 1 };
	struct msghdr message = {
		.msg_iov = &data, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = sizeof(control),
	};
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);

	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(header), &fd, sizeof(fd));
	return sendmsg(socket, &message, 0) == 1 ? 0 : -1;
}

static int receive_descriptor(int socket)
{
	char byte, control[CMSG_SPACE(sizeof(int))];
	struct iovec data = { &byte, 1 };
	struct msghdr message = {
		.msg_iov = &data, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = sizeof(control),
	};
	int fd = -1;

	if (recvmsg(socket, &message, 0) == 1 && CMSG_FIRSTHDR(&message))
		memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(fd));
	return fd;
}

/* Builds an enclave with the provisioning key, by this descriptor. */
static void build_provisioning(int fd)
{
	struct sgx_enclave_provision provision = { .fd = fd };
	int error;

	if ((enclave.fd = enclave_open_device()) < 0 ||
	    enclave_reserve(&enclave) || enclave_create(&enclave))
		die("create");
	error = ioctl(enclave.fd, SGX_IOC_ENCLAVE_PROVISION, &provision) ? errno : 0;
	printf("PROVISION %s\n", error ? strerror(error) : "ok");
	if (enclave_add_pages(&enclave) || enclave_sign(&enclave))
		die("add");
	printf("INIT %s\n", enclave_init(&enclave) ? strerror(errno) : "ok");
}

/* Somebody who may opens the device, and hands it to one who may not. */
static int pass(void)
{
	struct enclave_options options = { .attributes = SGX_ATTR_PROVISIONKEY };
	int sockets[2], fd;

	enclave_zero(&enclave);
	if (!sgx_cpu_detect(&enclave.cpu) ||
	    enclave_load(&enclave, path, &options) ||
	    socketpair(AF_UNIX, SOCK_DGRAM, 0, sockets))
		die("load");
	fd = device("/dev/sgx_provision");
	fflush(stdout);
	if (!fork()) {
		close(fd);
		become_nobody();
		device("/dev/sgx_provision");
		build_provisioning(-1);
		close(enclave.fd);
		fd = receive_descriptor(sockets[1]);
		build_provisioning(fd);
		exit(0);
	}
	if (fd < 0 || send_descriptor(sockets[0], fd))
		die("send");
	wait(NULL);
	return 0;
}

static int as_nobody(void)
{
	become_nobody();
	device("/dev/sgx_enclave");
	device("/dev/sgx_provision");
	return 0;
}

static int no_devices(void)
{
	unsigned int a, b, c, d;
	char target[64];

	device("/dev/sgx_enclave");
	device("/dev/sgx_provision");
	device("/dev/sgx/enclave");
	printf("readlink %s\n", readlink("/dev/sgx_enclave", target, 64) < 0 ?
	       strerror(errno) : "ok");
	__cpuid_count(7, 0, a, b, c, d);
	printf("SGX %u SGX_LC %u\n", b >> 2 & 1, c >> 30 & 1);
	__cpuid_count(0x12, 0, a, b, c, d);
	printf("SGX1 %u\n", a & 1);
	return 0;
}

static void from_hex(uint8_t *bytes, const char *text)
{
	unsigned int i, byte;

	for (i = 0; i < 16 && sscanf(text + 2 * i, "%2x", &byte) == 1; i++)
		bytes[i] = byte;
}

/* Keys under these CPUSVNs, of an enclave of ISVSVN 3. */
static int keys(int count, char **svns)
{
	struct enclave_options options = { .isv_prod_id = 1, .isv_svn = 3 };
	static struct key_call call;
	uint64_t result;
	int i, j;

	if (enclave_build(&enclave, path, &options))
		die("build");
	for (i = 0; i < count; i++) {
		memset(&call, 0, sizeof(call));
		call.request.keyname = SGX_KEY_SEAL;
		call.request.keypolicy = SGX_KEYPOLICY_MRSIGNER;
		from_hex(call.request.cpu_svn, svns[i]);
		if (strlen(svns[i]) > 32) /* and an ISVSVN behind it */
			call.request.isv_svn = atoi(svns[i] + 33);
		call.request.attributes_mask = ~0ull;
		if (enclave_ecall(&enclave, 0, CALL_KEY, &call, &result) || result)
			die("ECALL");
		printf("%s error %lu key ", svns[i], (unsigned long)call.error);
		for (j = 0; j < 16; j++)
			printf("%02x", call.error ? 0 : call.key[j]);
		printf("\n");
	}
	return 0;
}

/* Adds the pages of an enclave from a file, or from memory that is none. */
static int load(const char *how, const char *file)
{
	struct enclave_options options = { 0 };
	int fd;
	void *source;

	enclave_zero(&enclave);
	if (!sgx_cpu_detect(&enclave.cpu) ||
	    enclave_load(&enclave, path, &options))
		die("load");
	if (strcmp(how, "anonymous")) {
		fd = open(file, O_RDWR | O_CREAT, 0600);
		if (fd < 0 || write(fd, enclave.source, enclave.source_size) !=
			      (ssize_t)enclave.source_size)
			die("write");
		source = mmap(NULL, enclave.source_size, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE, fd, 0);
		if (source == MAP_FAILED)
			die("mmap");
		enclave.source = source;
		if (!strcmp(how, "modified")) {
			volatile uint8_t *p = source;
			uint64_t i;

			for (i = 0; i < enclave.source_size; i += 4096)
				p[i] = p[i];
		}
	}
	if ((enclave.fd = enclave_open_device()) < 0 ||
	    enclave_reserve(&enclave) || enclave_create(&enclave))
		die("create");
	printf("%s %s\n", how, enclave_add_pages(&enclave) ? strerror(errno) : "ok");
	return 0;
}

static const char *add_code(uint64_t page, void *source)
{
	static _Alignas(64) uint64_t secinfo[8] = { 0x205 }; /* PT_REG, R, X */
	struct sgx_enclave_add_pages add = {
		.src = (uint64_t)source, .offset = page << 12, .length = 4096,
		.secinfo = (uint64_t)secinfo, .flags = SGX_PAGE_MEASURE,
	};

	return ioctl(enclave.fd, SGX_IOC_ENCLAVE_ADD_PAGES, &add) ?
	       strerror(errno) : "ok";
}

/* A file's mapping changes between the calls that add pages from it. */
static int change(const char *file)
{
	struct enclave_options options = { 0 };
	int fd = open(file, O_RDWR | O_CREAT, 0600);
	char *source;

	enclave_zero(&enclave);
	if (fd < 0 || ftruncate(fd, 8 << 12) || !sgx_cpu_detect(&enclave.cpu) ||
	    enclave_load(&enclave, path, &options))
		die("load");
	source = mmap(NULL, 8 << 12, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	if (source == MAP_FAILED ||
	    (enclave.fd = enclave_open_device()) < 0 ||
	    enclave_reserve(&enclave) || enclave_create(&enclave))
		die("create");
	printf("as it was %s\n", add_code(0, source));
	source[1 << 12] = 1;
	printf("written %s\n", add_code(1, source + (1 << 12)));
	printf("its neighbour %s\n", add_code(1, source + (2 << 12)));
	source[2 << 12] = 1;
	printf("written after it was added %s\n", add_code(2, source + (2 << 12)));
	madvise(source, 4 << 12, MADV_DONTNEED);
	printf("the file's again %s\n", add_code(2, source + (1 << 12)));
	mmap(source + (3 << 12), 4096, PROT_READ, MAP_PRIVATE | MAP_FIXED |
	     MAP_ANONYMOUS, -1, 0);
	printf("replaced %s\n", add_code(3, source + (3 << 12)));
	printf("behind it %s\n", add_code(3, source + (4 << 12)));
	return 0;
}

/* CREATE as one effective user, then as another. */
static int users(void)
{
	struct enclave_options options = { 0 };
	uid_t user[] = { 0, NOBODY, 0 };
	unsigned int i;

	enclave_zero(&enclave);
	if (!sgx_cpu_detect(&enclave.cpu) ||
	    enclave_load(&enclave, path, &options))
		die("load");
	for (i = 0; i < 3; i++) {
		if ((enclave.fd = enclave_open_device()) < 0 ||
		    enclave_reserve(&enclave) || seteuid(user[i]))
			die("become");
		printf("%u %s\n", user[i], enclave_create(&enclave) ?
		       strerror(errno) : "ok");
		if (seteuid(0))
			die("root");
		close(enclave.fd);
	}
	return 0;
}

static const char *map(uint64_t address, int prot)
{
	return mmap((void *)address, 4096, prot, MAP_SHARED | MAP_FIXED,
		    enclave.fd, 0) == MAP_FAILED ? strerror(errno) : "ok";
}

/* Where nothing was added, an enclave of SGX2 gets pages that allow anything. */
static int mappings(void)
{
	struct enclave_options options = { 0 };
	uint64_t at;

	if (enclave_build(&enclave, path, &options))
		die("build");
	at = enclave.base + enclave.size - 4096;
	printf("map rwx %s\n", map(at, PROT_READ | PROT_WRITE | PROT_EXEC));
	printf("map rw- %s\n", map(at, PROT_READ | PROT_WRITE));
	printf("protect rwx %s\n", mprotect((void *)at, 4096, PROT_READ |
	       PROT_WRITE | PROT_EXEC) ? strerror(errno) : "ok");
	/* The kernel takes a hint that is free. */
	munmap((void *)at, 4096);
	printf("map by hint -wx %s\n", mmap((void *)at, 4096, PROT_WRITE |
	       PROT_EXEC, MAP_SHARED, enclave.fd, 0) == MAP_FAILED ?
	       strerror(errno) : "ok");
	map(at, PROT_READ | PROT_WRITE);
	printf("protect r-x %s\n", mprotect((void *)at, 4096,
	       PROT_READ | PROT_EXEC) ? strerror(errno) : "ok");
	return 0;
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";

	strcpy(path, enclave_beside_program("security.enclave"));
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (!strcmp(what, "pass"))
		return pass();
	if (!strcmp(what, "nobody"))
		return as_nobody();
	if (!strcmp(what, "nodevices"))
		return no_devices();
	if (!strcmp(what, "keys"))
		return keys(argc - 2, argv + 2);
	if (!strcmp(what, "load"))
		return load(argv[2], argc > 3 ? argv[3] : "");
	if (!strcmp(what, "change"))
		return change(argv[2]);
	if (!strcmp(what, "users"))
		return users();
	if (!strcmp(what, "mappings"))
		return mappings();
	return 2;
}
