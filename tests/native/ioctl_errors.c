// SPDX-License-Identifier: Apache-2.0
/* The ioctls: what each refuses, with which errno, and what it leaves behind. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../../samples/lib/sample_key.h"
#include "../../samples/lib/sigstruct.h"
#include "support.h"

static long create_at(int fd, const void *secs)
{
	struct sgx_enclave_create create = { .src = (uint64_t)secs };

	return ioctl(fd, SGX_IOC_ENCLAVE_CREATE, &create);
}

static long init_at(int fd, const void *sigstruct)
{
	struct sgx_enclave_init init = { .sigstruct = (uint64_t)sigstruct };

	return ioctl(fd, SGX_IOC_ENCLAVE_INIT, &init);
}

static long provision(int fd, uint64_t provision_fd)
{
	struct sgx_enclave_provision request = { .fd = provision_fd };

	return ioctl(fd, SGX_IOC_ENCLAVE_PROVISION, &request);
}

/*
 * Commands.
 */

static void expect_not_ours(int fd, int wanted, const char *what)
{
	uint8_t buffer[64] = { 0 };

	expect_errno(ioctl(fd, SGX_IOC_ENCLAVE_CREATE, buffer), wanted,
		     "CREATE on %s", what);
	expect_errno(ioctl(fd, SGX_IOC_ENCLAVE_ADD_PAGES, buffer), wanted,
		     "ADD_PAGES on %s", what);
	expect_errno(ioctl(fd, SGX_IOC_ENCLAVE_INIT, buffer), wanted,
		     "INIT on %s", what);
	expect_errno(ioctl(fd, SGX_IOC_ENCLAVE_PROVISION, buffer), wanted,
		     "PROVISION on %s", what);
	close(fd);
}

static void test_other_files(void)
{
	int pipes[2], closed;

	if (pipe(pipes))
		give_up("no pipe");
	close(pipes[1]);
	expect_not_ours(pipes[0], ENOTTY, "a pipe");
	expect_not_ours(open("/dev/null", O_RDWR), ENOTTY, "/dev/null");
	expect_not_ours(open("/proc/self/exe", O_RDONLY), ENOTTY, "a file");
	expect_not_ours(open("/", O_RDONLY), ENOTTY, "a directory");
	expect_not_ours(memfd_create("/dev/sgx_enclave", 0), ENOTTY,
			"a memfd of that name");
	expect_not_ours(eventfd(0, 0), ENOTTY, "an eventfd");
	expect_not_ours(socket(AF_UNIX, SOCK_STREAM, 0), ENOTTY, "a socket");
	expect_not_ours(open("/dev/sgx_provision", O_RDWR), ENOTTY,
			"the provisioning device");
	expect_not_ours(open("/dev/sgx_enclave", O_PATH), EBADF,
			"an O_PATH descriptor");
	closed = dup(0);
	close(closed);
	expect_not_ours(closed, EBADF, "a closed descriptor");
	expect_not_ours(-1, EBADF, "-1");
}

static void test_unknown_commands(void)
{
	static const unsigned long commands[] = {
		_IO(SGX_MAGIC, 0x00), _IO(SGX_MAGIC, 0x04), _IO(SGX_MAGIC, 0x08),
		_IO(SGX_MAGIC, 0xff), _IOW(SGX_MAGIC, 0x00, uint64_t[2]),
		_IOR(SGX_MAGIC, 0x00, uint64_t), _IOW(SGX_MAGIC, 0x04, uint64_t),
		_IOWR(SGX_MAGIC, 0x01, uint64_t), _IOW(0xA5, 0x00, uint64_t),
		0x5401 /* TCGETS */, 0x541b /* FIONREAD */, 0, 0xffffffff,
	};
	uint8_t buffer[256] = { 0 };
	struct enclave e;
	unsigned int i;

	tiny_open(&e);
	for (i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		expect_errno(ioctl(e.fd, commands[i], buffer), ENOTTY,
			     "unknown command 0x%lx", commands[i]);
	expect(isatty(e.fd), 0, "the device is no terminal");
	expect_errno(ioctl(e.fd, 0x5451 /* FIOCLEX */), 0, "FIOCLEX");
	expect_hex(fcntl(e.fd, F_GETFD), FD_CLOEXEC, "FIOCLEX has its effect");
	tiny_create(&e);
	expect_true(true, "and CREATE still works");
	enclave_destroy(&e);
}

/*
 * CREATE.
 */

static void test_create_pointers(void)
{
	uint8_t *page = ordinary_page();
	struct enclave e;

	tiny_open(&e);
	expect_errno(ioctl(e.fd, SGX_IOC_ENCLAVE_CREATE, NULL), EFAULT,
		     "CREATE: no argument");
	expect_errno(ioctl(e.fd, SGX_IOC_ENCLAVE_CREATE, absent_page()), EFAULT,
		     "CREATE: argument not readable");
	expect_errno(ioctl(e.fd, SGX_IOC_ENCLAVE_CREATE, 1ull << 63), EFAULT,
		     "CREATE: argument not canonical");
	expect_errno(ioctl(e.fd, SGX_IOC_ENCLAVE_CREATE, -8ll), EFAULT,
		     "CREATE: argument in the kernel's half");
	expect_errno(create_at(e.fd, NULL), EFAULT, "CREATE: no SECS");
	expect_errno(create_at(e.fd, absent_page()), EFAULT,
		     "CREATE: SECS not readable");
	expect_errno(create_at(e.fd, (void *)-4096ll), EFAULT,
		     "CREATE: SECS in the kernel's half");

	/* A SECS that runs into memory that is not there. */
	memcpy(page + 8, &e.secs, 4088);
	expect_errno(create_at(e.fd, page + 8), EFAULT,
		     "CREATE: SECS only half readable");
	tiny_create(&e);
	expect_true(true, "CREATE: succeeds after all that");
	enclave_destroy(&e);
}

static void test_create_unaligned(void)
{
	uint8_t *copy = malloc(8192);
	struct enclave e;

	tiny_open(&e);
	memcpy(copy + 3, &e.secs, sizeof(e.secs));
	expect_errno(create_at(e.fd, copy + 3), 0,
		     "CREATE: SECS at an odd address");
	enclave_destroy(&e);
	free(copy);
}

static void create_with(int wanted, void (*change)(struct enclave *),
			const char *name)
{
	struct enclave e;

	tiny_open(&e);
	change(&e);
	expect_errno(create_at(e.fd, &e.secs), wanted, "CREATE: %s", name);
	/* A refusal leaves the descriptor as it was. */
	if (wanted) {
		memset(&e.secs, 0, sizeof(e.secs));
		e.secs.size = e.size;
		e.secs.base = e.base;
		e.secs.ssa_frame_pages = 1;
		e.secs.attributes = SGX_ATTR_MODE64BIT;
		e.secs.xfrm = SGX_XFRM_LEGACY;
		expect_errno(create_at(e.fd, &e.secs), 0,
			     "CREATE: good after %s", name);
	}
	enclave_destroy(&e);
}

#define CHANGE(function, statement)				\
	static void function(struct enclave *e) { statement; }

CHANGE(nothing, (void)e)
CHANGE(size_zero, e->secs.size = 0)
CHANGE(size_not_power, e->secs.size = e->size + PAGE)
CHANGE(size_one_page, e->secs.size = PAGE)
CHANGE(size_small, e->secs.size = 2048)
CHANGE(size_too_large, e->secs.size = 2ull << e->cpu.size_log2; e->secs.base = 0)
CHANGE(base_unaligned, e->secs.base += PAGE)
CHANGE(base_not_canonical, e->secs.base = 1ull << 63)
CHANGE(base_zero, e->secs.base = 0)
CHANGE(no_ssa_frame, e->secs.ssa_frame_pages = 0)
CHANGE(attribute_init, e->secs.attributes |= SGX_ATTR_INIT)
CHANGE(attribute_bit_3, e->secs.attributes |= 1 << 3)
CHANGE(attribute_bit_63, e->secs.attributes |= 1ull << 63)
CHANGE(xfrm_none, e->secs.xfrm = 0)
CHANGE(xfrm_x87, e->secs.xfrm = SGX_XFRM_X87)
CHANGE(xfrm_reserved, e->secs.xfrm |= 1ull << 62)
CHANGE(misc_reserved, e->secs.miscselect = 1u << 31)
CHANGE(reserved1, e->secs.reserved1[23] = 1)
CHANGE(reserved2, e->secs.reserved2[0] = 1)
CHANGE(reserved4, e->secs.reserved4[3833] = 1)
CHANGE(config_id, e->secs.config_id[5] = 1)
CHANGE(debug, e->secs.attributes |= SGX_ATTR_DEBUG)
CHANGE(provision_key, e->secs.attributes |= SGX_ATTR_PROVISIONKEY)
CHANGE(token_key, e->secs.attributes |= SGX_ATTR_EINITTOKENKEY)

static void test_create_secs(void)
{
	create_with(0, nothing, "a good SECS");
	create_with(EINVAL, size_zero, "size zero");
	create_with(EINVAL, size_not_power, "size not a power of two");
	create_with(EIO, size_one_page, "size of one page");
	create_with(EIO, size_small, "size below a page");
	create_with(EIO, size_too_large, "size beyond CPUID's");
	create_with(EIO, base_unaligned, "base not aligned to the size");
	create_with(EIO, base_not_canonical, "base not canonical");
	create_with(0, base_zero, "base zero");
	create_with(EIO, no_ssa_frame, "SSA frame of no pages");
	create_with(EIO, attribute_init, "ATTRIBUTES.INIT set");
	create_with(EIO, attribute_bit_3, "ATTRIBUTES bit 3 set");
	create_with(EIO, attribute_bit_63, "ATTRIBUTES bit 63 set");
	create_with(EIO, xfrm_none, "XFRM 0");
	create_with(EIO, xfrm_x87, "XFRM 1");
	create_with(EIO, xfrm_reserved, "XFRM bit 62 set");
	create_with(EIO, misc_reserved, "MISCSELECT bit 31 set");
	create_with(EIO, reserved1, "reserved byte 47 set");
	create_with(EIO, reserved2, "reserved byte 96 set");
	create_with(EIO, reserved4, "reserved byte 4095 set");
	create_with(EIO, config_id, "CONFIGID without KSS");
	create_with(0, debug, "ATTRIBUTES.DEBUG");
	create_with(0, provision_key, "ATTRIBUTES.PROVISIONKEY");
	create_with(0, token_key, "ATTRIBUTES.EINITTOKENKEY");
}

static void test_create_twice(void)
{
	struct enclave e;

	tiny_open(&e);
	tiny_create(&e);
	expect_errno(create_at(e.fd, &e.secs), EINVAL, "CREATE: twice");
	expect_errno(ioctl(e.fd, SGX_IOC_ENCLAVE_CREATE, NULL), EINVAL,
		     "CREATE: twice, state before argument");
	tiny_add(&e);
	tiny_sign(&e);
	tiny_init(&e);
	expect_errno(create_at(e.fd, &e.secs), EINVAL, "CREATE: after INIT");
	enclave_destroy(&e);
}

/*
 * ADD_PAGES.
 */

static struct sgx_secinfo rw_page = {
	.flags = SGX_SECINFO_REG | SGX_SECINFO_R | SGX_SECINFO_W,
};

static struct sgx_enclave_add_pages good_add(const struct enclave *e)
{
	return (struct sgx_enclave_add_pages){
		.src = (uint64_t)e->source, .offset = TINY_FREE * PAGE,
		.length = PAGE, .secinfo = (uint64_t)&rw_page,
		.flags = SGX_PAGE_MEASURE, .count = 0x5555,
	};
}

static void test_add_state(void)
{
	struct sgx_enclave_add_pages add;
	struct enclave e;

	tiny_open(&e);
	add = good_add(&e);
	expect_errno(ioctl(e.fd, SGX_IOC_ENCLAVE_ADD_PAGES, &add), EINVAL,
		     "ADD_PAGES: before CREATE");
	expect_errno(ioctl(e.fd, SGX_IOC_ENCLAVE_ADD_PAGES, NULL), EINVAL,
		     "ADD_PAGES: before CREATE, state before argument");
	expect_hex(add.count, 0x5555, "ADD_PAGES: before CREATE, count untouched");
	tiny_create(&e);
	tiny_add(&e);
	tiny_sign(&e);
	tiny_init(&e);
	expect_errno(ioctl(e.fd, SGX_IOC_ENCLAVE_ADD_PAGES, &add), EINVAL,
		     "ADD_PAGES: after INIT");
	enclave_destroy(&e);
}

static void expect_add(struct enclave *e, struct sgx_enclave_add_pages add,
		       int wanted, const char *name)
{
	expect_errno(ioctl(e->fd, SGX_IOC_ENCLAVE_ADD_PAGES, &add), wanted,
		     "ADD_PAGES: %s", name);
}

static void test_add_ranges(void)
{
	struct sgx_enclave_add_pages good;
	struct enclave e;

	tiny_open(&e);
	tiny_create(&e);
	good = good_add(&e);
#define TRY(wanted, name, ...) do {					\
		struct sgx_enclave_add_pages add = good;		\
		__VA_ARGS__;						\
		expect_add(&e, add, wanted, name);			\
	} while (0)
	TRY(EINVAL, "source not aligned", add.src += 8);
	TRY(EINVAL, "offset not aligned", add.offset += 2048);
	TRY(EINVAL, "length zero", add.length = 0);
	TRY(EINVAL, "length not aligned", add.length = 4095);
	TRY(EINVAL, "length not aligned, above", add.length = 4097);
	TRY(EINVAL, "offset at the end", add.offset = e.size);
	TRY(EINVAL, "offset beyond the end", add.offset = e.size * 16);
	TRY(EINVAL, "length beyond the end", add.length = e.size);
	TRY(EINVAL, "offset and length wrap", add.offset = -PAGE,
	    add.length = 2 * PAGE);
	TRY(EINVAL, "offset and length wrap to zero", add.offset = -PAGE);
	TRY(EINVAL, "length of nearly everything", add.offset = 0,
	    add.length = -PAGE);
	TRY(EINVAL, "huge length", add.length = 1ull << 40);
	TRY(EINVAL, "huge offset", add.offset = 1ull << 63);
	TRY(0, "the last page", add.offset = e.size - PAGE);
#undef TRY
	enclave_destroy(&e);
}

static void test_add_pointers(void)
{
	struct sgx_enclave_add_pages good, *add;
	struct enclave e;

	tiny_open(&e);
	tiny_create(&e);
	good = good_add(&e);
	expect_errno(ioctl(e.fd, SGX_IOC_ENCLAVE_ADD_PAGES, NULL), EFAULT,
		     "ADD_PAGES: no argument");
	expect_errno(ioctl(e.fd, SGX_IOC_ENCLAVE_ADD_PAGES, absent_page()),
		     EFAULT, "ADD_PAGES: argument not readable");
#define TRY(wanted, name, ...) do {					\
		struct sgx_enclave_add_pages add = good;		\
		__VA_ARGS__;						\
		expect_add(&e, add, wanted, name);			\
	} while (0)
	TRY(EFAULT, "no SECINFO", add.secinfo = 0);
	TRY(EFAULT, "SECINFO not readable", add.secinfo = (uint64_t)absent_page());
	TRY(EFAULT, "SECINFO only half readable",
	    add.secinfo = (uint64_t)absent_page() - 32);
	TRY(EFAULT, "no source", add.src = 0);
	TRY(EFAULT, "source not readable", add.src = (uint64_t)absent_page());
	TRY(EFAULT, "source not canonical", add.src = 1ull << 63);
	TRY(EFAULT, "source in the kernel's half", add.src = -PAGE);
	TRY(0, "the page, after all that");
	TRY(EBUSY, "the page again");
#undef TRY
	/* The count cannot be written: the page is added nevertheless. */
	add = ordinary_page();
	*add = good;
	add->offset += PAGE;
	mprotect(add, PAGE, PROT_READ);
	expect_errno(ioctl(e.fd, SGX_IOC_ENCLAVE_ADD_PAGES, add), EFAULT,
		     "ADD_PAGES: argument not writable");
	good.offset += PAGE;
	expect_add(&e, good, EBUSY, "and it was added nevertheless");
	enclave_destroy(&e);
}

static void try_secinfo(struct enclave *e, const struct sgx_secinfo *secinfo,
			int wanted, const char *name)
{
	struct sgx_enclave_add_pages add = good_add(e);

	add.secinfo = (uint64_t)secinfo;
	expect_add(e, add, wanted, name);
}

static void try_flags(struct enclave *e, uint64_t flags, int wanted)
{
	struct sgx_secinfo secinfo = { .flags = flags };
	char name[64];

	snprintf(name, sizeof(name), "SECINFO.FLAGS 0x%llx",
		 (unsigned long long)flags);
	try_secinfo(e, &secinfo, wanted, name);
}

static void test_add_bad_secinfo(void)
{
	static const uint64_t bad[] = {
		SGX_SECINFO_SECS, SGX_SECINFO_SECS | SGX_SECINFO_R,
		SGX_SECINFO_VA, SGX_SECINFO_TRIM, 5ull << 8, 6ull << 8,
		7ull << 8, 0xffull << 8,
		SGX_SECINFO_REG | SGX_SECINFO_W,
		SGX_SECINFO_REG | SGX_SECINFO_W | SGX_SECINFO_X,
		SGX_SECINFO_TCS | SGX_SECINFO_R,
		SGX_SECINFO_TCS | SGX_SECINFO_X,
		SGX_SECINFO_TCS | SGX_SECINFO_R | SGX_SECINFO_W,
		SGX_SECINFO_REG | 1 << 3, SGX_SECINFO_REG | 1 << 4,
		SGX_SECINFO_REG | 1 << 5, SGX_SECINFO_REG | 1 << 6,
		SGX_SECINFO_REG | 1 << 7, SGX_SECINFO_REG | 1 << 16,
		SGX_SECINFO_REG | 1ull << 63, SGX_SECINFO_TCS | 1 << 3,
	};
	struct sgx_secinfo secinfo;
	struct enclave e;
	unsigned int i;
	char name[64];

	tiny_open(&e);
	tiny_create(&e);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		try_flags(&e, bad[i], EINVAL);
	for (i = 0; i < sizeof(secinfo.reserved); i++) {
		secinfo = rw_page;
		secinfo.reserved[i] = 1;
		snprintf(name, sizeof(name), "SECINFO byte %u set", i + 8);
		try_secinfo(&e, &secinfo, EINVAL, name);
	}
	enclave_destroy(&e);
}

static void test_add_good_secinfo(void)
{
	static const uint64_t good[] = {
		0, SGX_SECINFO_R, SGX_SECINFO_X, SGX_SECINFO_R | SGX_SECINFO_W,
		SGX_SECINFO_R | SGX_SECINFO_X,
		SGX_SECINFO_R | SGX_SECINFO_W | SGX_SECINFO_X,
	};
	uint8_t odd[80];
	struct enclave e;
	unsigned int i;

	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		tiny_open(&e);
		tiny_create(&e);
		try_flags(&e, SGX_SECINFO_REG | good[i], 0);
		enclave_destroy(&e);
	}
	tiny_open(&e);
	tiny_create(&e);
	memcpy(odd + 1, &rw_page, sizeof(rw_page));
	try_secinfo(&e, (void *)(odd + 1), 0, "SECINFO at an odd address");
	enclave_destroy(&e);
}

static long add_range(struct enclave *e, const void *source, uint64_t page,
		      uint64_t pages, uint64_t *count)
{
	struct sgx_enclave_add_pages add = {
		.src = (uint64_t)source, .offset = page * PAGE,
		.length = pages * PAGE, .secinfo = (uint64_t)&rw_page,
		.count = 0x5555,
	};
	long r = ioctl(e->fd, SGX_IOC_ENCLAVE_ADD_PAGES, &add);

	*count = add.count;
	return r;
}

/* How far it came is written back, also when it fails. */
static void test_add_count(void)
{
	struct enclave e;
	uint64_t count;

	tiny_open(&e);
	tiny_create(&e);
	expect_errno(add_range(&e, e.source, 2, 3, &count), 0,
		     "ADD_PAGES: three pages");
	expect_hex(count, 3 * PAGE, "ADD_PAGES: three pages, count");
	expect_errno(add_range(&e, e.source, 0, 8, &count), EBUSY,
		     "ADD_PAGES: eight, the third exists");
	expect_hex(count, 2 * PAGE, "ADD_PAGES: eight, count is two");
	expect_errno(add_range(&e, e.source, 1, 1, &count), EBUSY,
		     "ADD_PAGES: the two stay added");
	expect_hex(count, 0, "ADD_PAGES: none added, count is none");

	munmap(e.source + 3 * PAGE, PAGE);
	expect_errno(add_range(&e, e.source, 8, 5, &count), EFAULT,
		     "ADD_PAGES: five, the fourth's source is missing");
	expect_hex(count, 3 * PAGE, "ADD_PAGES: five, count is three");
	expect_errno(add_range(&e, e.source, 11, 2, &count), 0,
		     "ADD_PAGES: the rest from elsewhere");
	expect_hex(count, 2 * PAGE, "ADD_PAGES: the rest, count");
	enclave_destroy(&e);
}

static void try_tcs(struct enclave *e, const struct sgx_tcs *tcs, int wanted,
		    const char *name)
{
	struct sgx_secinfo secinfo = { .flags = SGX_SECINFO_TCS };
	struct sgx_enclave_add_pages add = good_add(e);

	memcpy(e->source + TINY_TCS * PAGE, tcs, sizeof(*tcs));
	add.src = (uint64_t)(e->source + TINY_TCS * PAGE);
	add.offset = TINY_TCS * PAGE;
	add.secinfo = (uint64_t)&secinfo;
	expect_add(e, add, wanted, name);
}

static void test_add_tcs(void)
{
	struct sgx_tcs good, tcs;
	struct enclave e;

	tiny_open(&e);
	tiny_create(&e);
	memcpy(&good, e.source + TINY_TCS * PAGE, sizeof(good));
#define TRY(name, statement) do {					\
		tcs = good;						\
		statement;						\
		try_tcs(&e, &tcs, EIO, name);				\
	} while (0)
	TRY("TCS with reserved byte 72 set", tcs.reserved[0] = 1);
	TRY("TCS with reserved byte 4095 set", tcs.reserved[4023] = 1);
	TRY("TCS with reserved byte 2000 set", tcs.reserved[1928] = 0x80);
#undef TRY
	try_tcs(&e, &good, 0, "a good TCS after all those");
	enclave_destroy(&e);
}

/*
 * A file system of our own, mounted noexec, in a mount namespace of our own;
 * root may do that, and often everybody else in a user namespace.
 */
static bool mount_noexec(const char *place)
{
	if (unshare(CLONE_NEWNS) && unshare(CLONE_NEWUSER | CLONE_NEWNS))
		return false;
	return !mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) &&
	       !mount("none", place, "tmpfs", MS_NOEXEC, NULL);
}

static void test_add_noexec(void)
{
	char place[] = "/tmp/sgx-noexec-XXXXXX", path[64];
	struct sgx_enclave_add_pages add;
	struct enclave e;
	int fd;

	/* Before the namespace changes, so that the device is the usual one. */
	tiny_open(&e);
	tiny_create(&e);
	if (!mkdtemp(place))
		give_up("no temporary directory");
	if (!mount_noexec(place)) {
		skip("nothing can be mounted here",
		     "ADD_PAGES: source that may never be executed");
	} else {
		snprintf(path, sizeof(path), "%s/page", place);
		fd = open(path, O_RDWR | O_CREAT, 0600);
		if (fd < 0 || ftruncate(fd, PAGE))
			give_up("no temporary file");
		add = good_add(&e);
		add.src = (uint64_t)mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd,
					 0);
		expect_add(&e, add, EACCES, "source that may never be executed");
		close(fd);
		umount2(place, MNT_DETACH);
	}
	rmdir(place);
	enclave_destroy(&e);
}

/* The source needs no permission to execute, only the possibility. */
static void test_add_sources(void)
{
	int fd = open("/proc/self/exe", O_RDONLY);
	void *file = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 0);
	void *shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	void *untouched = ordinary_page();
	struct enclave e;
	uint64_t count;

	tiny_open(&e);
	tiny_create(&e);
	expect_errno(add_range(&e, file, 0, 1, &count), 0,
		     "ADD_PAGES: source in a file");
	expect_errno(add_range(&e, shared, 1, 1, &count), 0,
		     "ADD_PAGES: source in shared memory");
	expect_errno(add_range(&e, untouched, 2, 1, &count), 0,
		     "ADD_PAGES: source never touched");
	enclave_destroy(&e);
	close(fd);
}

/*
 * INIT.
 */

static void test_init_state(void)
{
	struct enclave e;

	tiny_open(&e);
	tiny_sign(&e);
	expect_errno(init_at(e.fd, &e.sigstruct), EINVAL, "INIT: before CREATE");
	expect_errno(ioctl(e.fd, SGX_IOC_ENCLAVE_INIT, NULL), EINVAL,
		     "INIT: before CREATE, state before argument");
	tiny_create(&e);
	tiny_add(&e);
	expect_errno(ioctl(e.fd, SGX_IOC_ENCLAVE_INIT, NULL), EFAULT,
		     "INIT: no argument");
	expect_errno(ioctl(e.fd, SGX_IOC_ENCLAVE_INIT, absent_page()), EFAULT,
		     "INIT: argument not readable");
	expect_errno(init_at(e.fd, NULL), EFAULT, "INIT: no SIGSTRUCT");
	expect_errno(init_at(e.fd, absent_page()), EFAULT,
		     "INIT: SIGSTRUCT not readable");
	tiny_init(&e);
	expect_true(true, "INIT: succeeds after all that");
	expect_errno(init_at(e.fd, &e.sigstruct), EINVAL, "INIT: twice");
	enclave_destroy(&e);
}

/* EINIT takes a copy, so the SIGSTRUCT may lie anywhere. */
static void test_init_place(void)
{
	uint8_t *page = ordinary_page();
	struct enclave e;
	void *sigstruct = page + PAGE - sizeof(e.sigstruct);

	tiny_open(&e);
	tiny_create(&e);
	tiny_add(&e);
	tiny_sign(&e);
	memcpy(sigstruct, &e.sigstruct, sizeof(e.sigstruct));
	expect_errno(init_at(e.fd, (char *)sigstruct + 8), EFAULT,
		     "INIT: SIGSTRUCT only half readable");
	expect_errno(init_at(e.fd, sigstruct), 0,
		     "INIT: SIGSTRUCT at the very end of memory");
	enclave_destroy(&e);
}

/* INIT of what is signed, after a change to what was signed. */
static void init_with(int wanted, void (*change)(struct enclave *),
		      const char *name)
{
	struct enclave e;

	tiny_open(&e);
	tiny_create(&e);
	tiny_add(&e);
	tiny_sign(&e);
	change(&e);
	if (!sigstruct_sign(&e.sigstruct, &sample_public_test_key))
		give_up("signing failed");
	expect_errno(init_at(e.fd, &e.sigstruct), wanted, "INIT: %s", name);
	if (wanted) {
		tiny_sign(&e);
		expect_errno(init_at(e.fd, &e.sigstruct), 0,
			     "INIT: good after %s", name);
	}
	enclave_destroy(&e);
}

CHANGE(other_measurement, e->sigstruct.mrenclave[31] ^= 0x80)
CHANGE(other_attributes, e->sigstruct.attributes |= SGX_ATTR_DEBUG)
CHANGE(masked_attributes, e->sigstruct.attributes |= SGX_ATTR_DEBUG;
       e->sigstruct.attributes_mask &= ~SGX_ATTR_DEBUG)
CHANGE(other_xfrm, e->sigstruct.xfrm |= e->cpu.xfrm & SGX_XFRM_AVX)
CHANGE(masked_xfrm, e->sigstruct.xfrm |= SGX_XFRM_AVX;
       e->sigstruct.xfrm_mask &= ~SGX_XFRM_AVX)
CHANGE(other_misc, e->sigstruct.miscselect |= e->cpu.miscselect & 1)
CHANGE(masked_misc, e->sigstruct.miscselect |= 1; e->sigstruct.miscmask = 0)
CHANGE(unsupported_attribute, e->sigstruct.attributes |= 1ull << 63)
CHANGE(masked_unsupported_attribute, e->sigstruct.attributes |= 1ull << 63;
       e->sigstruct.attributes_mask &= ~(1ull << 63))
CHANGE(unsupported_xfrm, e->sigstruct.xfrm |= 1ull << 62)
CHANGE(unsupported_misc, e->sigstruct.miscselect |= 1u << 31)
CHANGE(vendor_intel, e->sigstruct.vendor = 0x8086)
CHANGE(vendor_other, e->sigstruct.vendor = 0x1234)
CHANGE(other_swdefined, e->sigstruct.swdefined = 0xdeadbeef)
CHANGE(other_date, e->sigstruct.date = 0x19700101)

static void test_init_sigstruct(void)
{
	struct sgx_cpu cpu;

	sgx_cpu_detect(&cpu);
	init_with(0, nothing, "a good SIGSTRUCT");
	init_with(EPERM, other_measurement, "another MRENCLAVE");
	init_with(EPERM, other_attributes, "other ATTRIBUTES");
	init_with(0, masked_attributes, "other ATTRIBUTES, masked");
	if (cpu.xfrm & SGX_XFRM_AVX)
		init_with(EPERM, other_xfrm, "another XFRM");
	init_with(0, masked_xfrm, "another XFRM, masked");
	if (cpu.miscselect & 1)
		init_with(EPERM, other_misc, "another MISCSELECT");
	init_with(0, masked_misc, "another MISCSELECT, masked");
	init_with(EINVAL, unsupported_attribute, "ATTRIBUTES no processor has");
	init_with(0, masked_unsupported_attribute,
		  "ATTRIBUTES no processor has, masked");
	init_with(EINVAL, unsupported_xfrm, "XFRM no processor has");
	init_with(EINVAL, unsupported_misc, "MISCSELECT no processor has");
	init_with(0, vendor_intel, "vendor 0x8086");
	init_with(EINVAL, vendor_other, "vendor 0x1234");
	init_with(0, other_swdefined, "any SWDEFINED");
	init_with(0, other_date, "any date");
}

static void expect_flip(struct enclave *e, unsigned int byte, unsigned int bit,
			unsigned int *wrong)
{
	uint8_t *p = (uint8_t *)&e->sigstruct + byte;
	long r;

	*p ^= 1 << bit;
	r = init_at(e->fd, &e->sigstruct);
	if (r != -1 || (errno != EPERM && errno != EINVAL)) {
		if ((*wrong)++ < 10)
			printf("# byte %u, bit %u: %s\n", byte, bit,
			       r ? strerror(errno) : "success");
	}
	*p ^= 1 << bit;
	if (r == 0)
		give_up("a corrupted SIGSTRUCT initialised an enclave");
}

static void test_init_flips(void)
{
	unsigned int byte, wrong = 0;
	struct enclave e;

	tiny_open(&e);
	tiny_create(&e);
	tiny_add(&e);
	tiny_sign(&e);
	for (byte = 0; byte < sizeof(e.sigstruct); byte++)
		expect_flip(&e, byte, byte % 8, &wrong);
	expect(wrong, 0, "INIT: one bit of each SIGSTRUCT byte flipped");
	tiny_init(&e);
	expect_true(true, "INIT: the intact SIGSTRUCT after 1808 bad ones");
	enclave_destroy(&e);
}

static void test_init_garbage(void)
{
	uint8_t *page = ordinary_page();
	struct enclave e;

	tiny_open(&e);
	tiny_create(&e);
	expect_errno(init_at(e.fd, page), EPERM, "INIT: SIGSTRUCT all zero");
	memset(page, 0xff, PAGE);
	expect_errno(init_at(e.fd, page), EINVAL, "INIT: SIGSTRUCT all ones");
	e.nr_regions = 0;
	tiny_sign(&e);
	expect_errno(init_at(e.fd, &e.sigstruct), 0,
		     "INIT: an enclave without pages");
	enclave_destroy(&e);
}

/* A page that is added but not measured leaves only its EADD record. */
static void test_init_unmeasured(void)
{
	struct enclave e;

	tiny_open(&e);
	e.regions[TINY_RW].measured = false;
	tiny_create(&e);
	tiny_add(&e);
	e.source[TINY_RW * PAGE] ^= 1;
	tiny_sign(&e);
	expect_errno(init_at(e.fd, &e.sigstruct), 0,
		     "INIT: contents of an unmeasured page do not count");
	enclave_destroy(&e);

	tiny_open(&e);
	tiny_create(&e);
	tiny_add(&e);
	e.source[TINY_RW * PAGE + 4095] ^= 1;
	tiny_sign(&e);
	expect_errno(init_at(e.fd, &e.sigstruct), EPERM,
		     "INIT: the last byte of a measured page does");
	enclave_destroy(&e);
}

/*
 * PROVISION.
 */

static void test_provision_fds(void)
{
	int device = open("/dev/sgx_provision", O_RDWR);
	int file = open("/proc/self/exe", O_RDONLY);
	struct enclave e;

	tiny_open(&e);
	tiny_create(&e);
	expect_errno(ioctl(e.fd, SGX_IOC_ENCLAVE_PROVISION, NULL), EFAULT,
		     "PROVISION: no argument");
	expect_errno(provision(e.fd, -1), EINVAL, "PROVISION: fd -1");
	expect_errno(provision(e.fd, 12345), EINVAL, "PROVISION: fd not open");
	expect_errno(provision(e.fd, file), EINVAL, "PROVISION: fd of a file");
	expect_errno(provision(e.fd, e.fd), EINVAL,
		     "PROVISION: fd of the enclave device");
	expect_errno(provision(e.fd, device), 0, "PROVISION: the device");
	expect_errno(provision(e.fd, device), 0, "PROVISION: twice");
	expect_errno(provision(e.fd, 1ull << 32 | device), 0,
		     "PROVISION: only 32 bits of the fd count");
	close(device);
	expect_errno(provision(e.fd, device), EINVAL,
		     "PROVISION: fd closed meanwhile");
	enclave_destroy(&e);
	close(file);
}

enum provisioning { NEVER, BEFORE_CREATE, AFTER_CREATE, AFTER_PAGES };

static void init_privileged(uint64_t attribute, enum provisioning when,
			    int wanted, const char *name)
{
	int device = open("/dev/sgx_provision", O_RDWR);
	struct enclave e;

	tiny_open(&e);
	e.secs.attributes |= attribute;
	if (when == BEFORE_CREATE)
		expect_errno(provision(e.fd, device), 0,
			     "PROVISION: before CREATE");
	tiny_create(&e);
	if (when == AFTER_CREATE)
		provision(e.fd, device);
	tiny_add(&e);
	if (when == AFTER_PAGES)
		provision(e.fd, device);
	tiny_sign(&e);
	expect_errno(init_at(e.fd, &e.sigstruct), wanted, "INIT: %s", name);
	if (when == NEVER && attribute == SGX_ATTR_PROVISIONKEY) {
		provision(e.fd, device);
		expect_errno(init_at(e.fd, &e.sigstruct), 0,
			     "INIT: after EACCES and PROVISION");
	}
	close(device);
	enclave_destroy(&e);
}

static void test_provision_attributes(void)
{
	init_privileged(SGX_ATTR_PROVISIONKEY, NEVER, EACCES,
			"PROVISIONKEY without PROVISION");
	init_privileged(SGX_ATTR_PROVISIONKEY, AFTER_CREATE, 0,
			"PROVISIONKEY with PROVISION");
	init_privileged(SGX_ATTR_PROVISIONKEY, AFTER_PAGES, 0,
			"PROVISIONKEY with a late PROVISION");
	init_privileged(SGX_ATTR_PROVISIONKEY, BEFORE_CREATE, EACCES,
			"PROVISIONKEY with a PROVISION that CREATE forgot");
	init_privileged(SGX_ATTR_EINITTOKENKEY, NEVER, EACCES,
			"EINITTOKENKEY");
	init_privileged(SGX_ATTR_EINITTOKENKEY, AFTER_CREATE, EACCES,
			"EINITTOKENKEY with PROVISION");
	init_privileged(SGX_ATTR_DEBUG, NEVER, 0, "DEBUG needs nothing");
}

/*
 * The ioctls of SGX2, on an enclave that is not initialised.
 */

static void test_sgx2(void)
{
	struct sgx_enclave_restrict_permissions restrict_arg = { .length = PAGE };
	struct sgx_enclave_modify_types modify = { .length = PAGE };
	struct sgx_enclave_remove_pages remove = { .length = PAGE };
	struct enclave e;
	int wanted;

	tiny_open(&e);
	wanted = e.cpu.sgx2 ? EINVAL : ENODEV;
	expect_errno(ioctl(e.fd, SGX_IOC_ENCLAVE_RESTRICT_PERMISSIONS,
			   &restrict_arg), wanted, "RESTRICT_PERMISSIONS: early");
	expect_errno(ioctl(e.fd, SGX_IOC_ENCLAVE_MODIFY_TYPES, &modify), wanted,
		     "MODIFY_TYPES: early");
	expect_errno(ioctl(e.fd, SGX_IOC_ENCLAVE_REMOVE_PAGES, &remove), wanted,
		     "REMOVE_PAGES: early");
	remove.length = 0;
	expect_errno(ioctl(e.fd, SGX_IOC_ENCLAVE_REMOVE_PAGES, &remove), wanted,
		     "REMOVE_PAGES: early, length zero");
	enclave_destroy(&e);
}

int main(void)
{
	test_other_files();
	test_unknown_commands();
	test_create_pointers();
	test_create_unaligned();
	test_create_secs();
	test_create_twice();
	test_add_state();
	test_add_ranges();
	test_add_pointers();
	test_add_bad_secinfo();
	test_add_good_secinfo();
	test_add_count();
	test_add_tcs();
	test_add_sources();
	test_init_state();
	test_init_place();
	test_init_sigstruct();
	test_init_flips();
	test_init_garbage();
	test_init_unmeasured();
	test_provision_fds();
	test_provision_attributes();
	test_sgx2();
	test_add_noexec();	/* last: it changes the mount namespace */
	return done();
}
