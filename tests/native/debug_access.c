// SPDX-License-Identifier: Apache-2.0
/*
 * How debuggers reach enclave memory: /proc/PID/mem through the driver, by
 * EDBGRD and EDBGWR, so debug enclaves only; process_vm_readv and
 * process_vm_writev not at all, since the mapping has no pages to pin.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support.h"

#define MARK 0x1122334455667788ull
#define DESCRIPTORS 24

static struct enclave e;
static uint64_t arena;		/* two pages, readable and writable */

static void build(bool debug)
{
	struct enclave_options options = { .debug = debug };
	uint64_t unused;

	test_enclave(&e, &options);
	arena = test_address(&e, PLACE_ARENA);
	test_call(&e, 0, TEST_WRITE, arena, MARK, &unused);
}

static uint64_t inside(uint64_t address)
{
	uint64_t value = 0;

	test_call(&e, 0, TEST_READ, address, 0, &value);
	return value;
}

static uint64_t at(int memory, uint64_t address)
{
	uint64_t value = 0;

	return pread(memory, &value, 8, address) == 8 ? value : 0;
}

static int open_memory(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC);

	if (fd < 0)
		give_up(path);
	return fd;
}

/* Every call that reads or writes a file. */
static void test_calls(int memory)
{
	uint64_t value = 0, halves[2] = { 0 };
	struct iovec one = { &value, 8 };
	struct iovec two[] = { { &halves[1], 4 }, { NULL, 0 }, { &halves[0], 4 } };

	expect(lseek(memory, arena, SEEK_SET), arena, "calls: lseek");
	expect(read(memory, &value, 8), 8, "calls: read");
	expect_hex(value, MARK, "calls: what read read");
	expect(lseek(memory, 0, SEEK_CUR), arena + 8, "calls: read goes on");
	lseek(memory, arena, SEEK_SET);
	expect(readv(memory, two, 3), 8, "calls: readv");
	expect_hex(halves[1], MARK & 0xffffffff, "calls: its first piece");
	expect_hex(halves[0], MARK >> 32, "calls: its last piece");
	value = 0;
	expect(preadv(memory, &one, 1, arena), 8, "calls: preadv");
	expect_hex(value, MARK, "calls: what preadv read");
	value = 0;
	expect(preadv2(memory, &one, 1, arena, 0), 8, "calls: preadv2");
	expect_hex(value, MARK, "calls: what preadv2 read");
	lseek(memory, arena, SEEK_SET);
	value = 0;
	expect(preadv2(memory, &one, 1, -1, 0), 8,
	       "calls: preadv2 at the file's position");
	expect_hex(value, MARK, "calls: what it read there");
	expect_errno(preadv2(memory, &one, 1, arena, RWF_NOWAIT), EOPNOTSUPP,
		     "calls: preadv2 that may not wait");

	lseek(memory, arena, SEEK_SET);
	value = 1;
	expect(write(memory, &value, 8), 8, "calls: write");
	expect(inside(arena), 1, "calls: what write wrote");
	halves[0] = 3;
	halves[1] = 2;
	lseek(memory, arena, SEEK_SET);
	expect(writev(memory, two, 3), 8, "calls: writev");
	expect_hex(inside(arena), 3ull << 32 | 2, "calls: what writev wrote");
	value = 4;
	expect(pwritev(memory, &one, 1, arena), 8, "calls: pwritev");
	expect(inside(arena), 4, "calls: what pwritev wrote");
	value = MARK;
	expect(pwritev2(memory, &one, 1, arena, 0), 8, "calls: pwritev2");
	expect_hex(inside(arena), MARK, "calls: what pwritev2 wrote");
	expect(pread(memory, &value, 0, arena), 0, "calls: nothing to read");
	expect_errno(pread(memory, absent_page(), 8, arena), EFAULT,
		     "calls: no buffer to read to");
	expect_errno(pwrite(memory, absent_page(), 8, arena), EFAULT,
		     "calls: no buffer to write from");
	expect_errno(pread(memory, &value, 8, -1), EINVAL,
		     "calls: a negative position");
}

/* After many ECALLs the code is still what was built. */
static void test_code(int memory)
{
	static uint8_t page[PAGE];
	unsigned int i, pages = 0, different = 0;
	uint64_t offset, unused;

	for (i = 0; i < 20; i++)
		test_call(&e, 0, TEST_NOTHING, 0, 0, &unused);
	for (i = 0; i < e.nr_regions; i++) {
		if (!(e.regions[i].prot & PROT_EXEC))
			continue;
		for (offset = e.regions[i].offset;
		     offset < e.regions[i].offset + e.regions[i].size;
		     offset += PAGE, pages++)
			different += pread(memory, page, PAGE,
					   e.base + offset) != PAGE ||
				     memcmp(page, e.source + offset, PAGE);
	}
	expect_true(pages > 0, "code: there is some");
	expect(different, 0, "code: pages that are not as built");
	expect_true(test_call(&e, 0, TEST_NOTHING, 0, 0, &unused),
		    "code: works as before");
}

/* What a range holds that is more than a word. */
static void test_ranges(int memory)
{
	static uint8_t out[2 * PAGE], in[2 * PAGE];
	uint64_t ordinary = 0, guard = test_address(&e, PLACE_GUARD);
	struct iovec three[] = { { in, 3 }, { in + 3, 8 }, { in + 11, 5 } };
	unsigned int i;

	for (i = 0; i < sizeof(out); i++)
		out[i] = i * 7 + i / 256;
	expect(pwrite(memory, out, sizeof(out), arena), sizeof(out),
	       "ranges: two pages written");
	expect(pread(memory, in, sizeof(in), arena), sizeof(in),
	       "ranges: and read");
	expect_bytes(in, out, sizeof(in), "ranges: they are the same");
	expect(pwrite(memory, "abc", 3, arena + 5), 3, "ranges: three bytes");
	expect(pread(memory, in, 16, arena), 16, "ranges: around them");
	expect_bytes(in, "\x00\x07\x0e\x15\x1c" "abc" "\x38", 9,
		     "ranges: only they changed");
	memset(in, 0, sizeof(in));
	expect(preadv(memory, three, 3, arena + PAGE - 8), 16,
	       "ranges: pieces over the pages' border");
	expect_bytes(in, out + PAGE - 8, 16, "ranges: what they hold");

	/* The driver gives all that is asked for at once, or nothing. */
	if (mmap((void *)guard, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED |
		 MAP_FIXED, e.fd, 0) == MAP_FAILED)
		give_up("mmap of an absent page fails");
	expect_errno(pread(memory, in, 8, guard), EIO, "ranges: no page");
	expect_errno(pread(memory, in, 16, guard - 8), EIO,
		     "ranges: half of it in no page");
	expect(pread(memory, in, 8, guard - 8), 8, "ranges: all of it in one");
	expect(pread(memory, in, PAGE, guard - PAGE), PAGE,
	       "ranges: to the end of the page");
	expect(pread(memory, in, 2 * PAGE, guard - PAGE), PAGE,
	       "ranges: and beyond it");
	pwrite(memory, "\1\1\1\1\1\1\1\1", 8, (uint64_t)&ordinary);
	expect_hex(ordinary, 0x0101010101010101,
		   "ranges: ordinary memory is as ever");
	expect_hex(at(memory, (uint64_t)&ordinary), ordinary,
		   "ranges: and read");
}

/* Ordinary memory that goes over into an enclave. */
static void test_border(int memory, bool debug)
{
	const char *name = debug ? "border" : "border, production";
	uint64_t start = e.base + e.regions[0].offset;
	uint8_t *page = (void *)(start - PAGE), buffer[64];

	if (mmap(page, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE |
		 MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) != page) {
		skip("memory is in use there", "%s", name);
		return;
	}
	memset(page, 'o', PAGE);
	memset(buffer, 0, sizeof(buffer));
	expect(pread(memory, buffer, 64, start - 32), debug ? 64 : 32,
	       "%s: read", name);
	expect(buffer[31], 'o', "%s: the ordinary part", name);
	expect_hex(*(uint64_t *)(buffer + 32), debug ? ENCLAVE_MAGIC : 0,
		   "%s: the enclave's part", name);
	expect(pwrite(memory, "nn", 2, start - 2), 2, "%s: write before it",
	       name);
	expect(page[PAGE - 1], 'n', "%s: what it wrote", name);
	lseek(memory, start - 8, SEEK_SET);
	expect(read(memory, buffer, 16), debug ? 16 : 8, "%s: read on", name);
	expect(lseek(memory, 0, SEEK_CUR) - start, debug ? 8 : 0,
	       "%s: where it goes on", name);
	munmap(page, PAGE);
}

/* A page of constants: not writable, not for the enclave either. */
static void test_protections(int memory)
{
	uint64_t constant = test_address(&e, PLACE_CONSTANT);
	uint64_t value = ENCLAVE_MAGIC + 1;
	int readable = open_memory("/proc/self/mem", O_RDONLY);
	int writable = open_memory("/proc/self/mem", O_WRONLY);

	expect(pwrite(memory, &value, 8, constant), 8,
	       "protections: write to a read-only page");
	expect_hex(inside(constant), value, "protections: what it wrote");
	expect_errno(mprotect((void *)(arena & -PAGE), PAGE, PROT_NONE), 0,
		     "protections: PROT_NONE");
	expect(at(memory, arena) != 0, 1, "protections: can be read all the same");
	expect_errno(mprotect((void *)(arena & -PAGE), PAGE,
			      PROT_READ | PROT_WRITE), 0,
		     "protections: and back");
	expect(pread(readable, &value, 8, arena), 8,
	       "protections: opened for reading");
	expect_errno(pwrite(readable, &value, 8, arena), EBADF,
		     "protections: cannot write");
	expect(pwrite(writable, &value, 8, arena), 8,
	       "protections: opened for writing");
	expect_errno(pread(writable, &value, 8, arena), EBADF,
		     "protections: cannot read");
	expect_errno(munmap((void *)((arena & -PAGE) + PAGE), PAGE), 0,
		     "protections: munmap");
	expect_errno(pread(memory, &value, 8, (arena & -PAGE) + PAGE), EIO,
		     "protections: nothing is mapped");
	close(readable);
	close(writable);
}

static void test_tcs(int memory)
{
	uint64_t tcs = e.tcs[1], value = SGX_TCS_DBGOPTIN, now;
	struct sgx_tcs copy;

	expect(pread(memory, &copy, 72, tcs), 72, "TCS: its fields");
	expect(copy.nssa, ENCLAVE_SSA_FRAMES, "TCS: NSSA");
	expect_hex(copy.flags, 0, "TCS: FLAGS");
	expect_errno(pread(memory, &copy, 80, tcs), EIO, "TCS: beyond them");
	expect_errno(pwrite(memory, &copy, 8, tcs), EIO, "TCS: STATE");
	expect_errno(pwrite(memory, &copy, 8, tcs + 16), EIO, "TCS: OSSA");
	expect(pwrite(memory, &value, 8, tcs + 8), 8, "TCS: write to FLAGS");
	expect_hex(at(memory, tcs + 8), SGX_TCS_DBGOPTIN,
		   "TCS: what it wrote");
	expect_true(test_call(&e, 1, TEST_NOTHING, 0, 0, &now) &&
		    now == TEST_MAGIC, "TCS: can be entered by");
	value = 0;
	expect(pwrite(memory, &value, 1, tcs + 8), 1, "TCS: one byte of it");
	expect_hex(at(memory, tcs + 8), 0, "TCS: is zero again");
}

/* The names that it has, and the descriptors. */
static void test_names(void)
{
	struct open_how how = { .flags = O_RDWR | O_CLOEXEC };
	char path[64];
	int fds[8], n = 0, directory = open("/proc/self", O_PATH | O_CLOEXEC);
	int i, many[DESCRIPTORS];

	fds[n++] = open("/proc/thread-self/mem", O_RDWR | O_CLOEXEC);
	fds[n++] = openat(directory, "mem", O_RDWR | O_CLOEXEC);
	fds[n++] = syscall(SYS_openat2, directory, "task/../mem", &how,
			   sizeof(how));
	snprintf(path, sizeof(path), "/proc/%d/mem", getpid());
	fds[n++] = open(path, O_RDWR | O_CLOEXEC);
	snprintf(path, sizeof(path), "/proc/%d/task/%d/mem", getpid(),
		 (int)syscall(SYS_gettid));
	fds[n++] = open(path, O_RDWR | O_CLOEXEC);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fds[0]);
	fds[n++] = open(path, O_RDWR | O_CLOEXEC);
	close(directory);
	for (i = 0; i < n; i++) {
		expect_hex(at(fds[i], arena), inside(arena), "name %d", i);
		expect_hex(at(fds[i], e.tcs[1] + 24) >> 32, ENCLAVE_SSA_FRAMES,
			   "name %d: a TCS", i);
		close(fds[i]);
	}

	many[0] = open_memory("/proc/self/mem", O_RDWR);
	many[1] = dup(many[0]);
	many[2] = dup2(many[0], 200);
	many[3] = dup3(many[1], 201, O_CLOEXEC);
	many[4] = fcntl(many[3], F_DUPFD, 300);
	many[5] = fcntl(many[3], F_DUPFD_CLOEXEC, 300);
	for (i = 6; i < DESCRIPTORS; i++)
		many[i] = dup(many[i - 1]);
	for (i = 0; i < DESCRIPTORS; i++)
		expect_hex(at(many[i], e.tcs[1] + 24) >> 32,
			   ENCLAVE_SSA_FRAMES, "descriptor %d", many[i]);
	for (i = 0; i < DESCRIPTORS; i++)
		close(many[i]);
	/* The number is another file's now. */
	expect(open("/dev/zero", O_RDONLY | O_CLOEXEC), many[0],
	       "a number used again");
	expect(at(many[0], arena), 0, "a number used again: reads zeros");
	close(many[0]);
}

/* Of another process, either way round. */
static void test_processes(int memory, bool debug)
{
	const char *name = debug ? "processes" : "processes, production";
	uint64_t wanted = debug ? inside(arena) : 0, value = 0;
	int status, of_child, of_parent[2], go[2];
	char path[32];
	pid_t child;

	if (pipe(of_parent) || pipe(go))
		give_up("no pipe");
	child = fork();
	if (!child) {
		snprintf(path, sizeof(path), "/proc/%d/mem", getppid());
		of_child = open(path, O_RDONLY);
		value = of_child < 0 ? 1 : at(of_child, arena);
		value = write(of_parent[1], &value, 8) +
			read(go[0], &value, 1);
		_exit(at(memory, arena) == wanted ? 0 : 1);
	}
	if (read(of_parent[0], &value, 8) != 8)
		give_up("no answer from the child");
	if (value == 1)
		skip("the child may not look", "%s: the parent's memory", name);
	else
		expect_hex(value, wanted, "%s: the parent's memory", name);
	snprintf(path, sizeof(path), "/proc/%d/mem", child);
	of_child = open(path, O_RDWR | O_CLOEXEC);
	value = 0;
	if (debug)
		expect_hex(at(of_child, arena), wanted,
			   "%s: the child's memory", name);
	else
		expect_errno(pread(of_child, &value, 8, arena), EIO,
			     "%s: the child's memory", name);
	expect(pread(of_child, &value, 8, (uint64_t)&wanted), 8,
	       "%s: ordinary memory of the child's", name);
	if (write(go[1], "x", 1) != 1 || waitpid(child, &status, 0) != child)
		give_up("the child is lost");
	expect(status, 0, "%s: an inherited descriptor", name);
	expect(pread(of_child, &value, 8, arena), 0,
	       "%s: of a process that has ended", name);
	close(of_child);
	close(of_parent[0]);
	close(of_parent[1]);
	close(go[0]);
	close(go[1]);
}

static void test_process_vm(bool debug)
{
	const char *name = debug ? "process_vm" : "process_vm, production";
	uint64_t start = e.base + e.regions[0].offset, before, unused;
	uint8_t *page = (void *)(start - PAGE), buffer[256] = { 0 };
	struct iovec local = { buffer, sizeof(buffer) }, small = { buffer, 4 };
	struct iovec remote[3] = { { (void *)arena, 8 } };
	pid_t self = getpid();

	test_call(&e, 0, TEST_WRITE, arena, MARK, &unused);
	before = inside(arena);
	expect_errno(process_vm_readv(self, &local, 1, remote, 1, 0), EFAULT,
		     "%s: readv", name);
	expect_errno(process_vm_writev(self, &local, 1, remote, 1, 0), EFAULT,
		     "%s: writev", name);
	expect_hex(inside(arena), before, "%s: nothing was written", name);
	expect_errno(process_vm_readv(self, &local, 1, remote, 1, 1), EINVAL,
		     "%s: flags", name);
	local.iov_len = 0;
	expect(process_vm_readv(self, &local, 1, remote, 1, 0), 0,
	       "%s: nothing asked", name);
	local.iov_len = sizeof(buffer);
	remote[0].iov_len = 0;
	expect(process_vm_readv(self, &local, 1, remote, 1, 0), 0,
	       "%s: nothing asked of it", name);

	if (mmap(page, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE |
		 MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) != page) {
		skip("memory is in use there", "%s: partly", name);
		return;
	}
	memset(page, 'o', PAGE);
	remote[0] = (struct iovec){ (void *)(start - 32), 64 };
	expect(process_vm_readv(self, &local, 1, remote, 1, 0), 32,
	       "%s: up to the enclave", name);
	expect(buffer[31] == 'o' && !buffer[32], 1, "%s: what it read", name);
	remote[0] = (struct iovec){ page, 10 };
	remote[1] = (struct iovec){ (void *)arena, 8 };
	remote[2] = (struct iovec){ page + 10, 10 };
	memset(buffer, 'n', sizeof(buffer));
	expect(process_vm_writev(self, &local, 1, remote, 3, 0), 10,
	       "%s: the pieces before it", name);
	expect(page[9] == 'n' && page[10] == 'o', 1, "%s: what it wrote", name);
	expect(process_vm_readv(self, &small, 1, remote, 3, 0), 4,
	       "%s: a transfer that never comes there", name);
	expect_errno(process_vm_readv(self, &local, 1, remote + 1, 1, 0),
		     EFAULT, "%s: and one that begins there", name);
	munmap(page, PAGE);
}

static void test_process_vm_of_others(void)
{
	uint64_t value = 0;
	struct iovec local = { &value, 8 };
	struct iovec remote = { (void *)arena, 8 };
	pid_t child = fork();

	if (!child) {
		pause();
		_exit(0);
	}
	expect_errno(process_vm_readv(child, &local, 1, &remote, 1, 0), EFAULT,
		     "process_vm: the enclave in a child");
	remote.iov_base = &child;
	expect(process_vm_readv(child, &local, 1, &remote, 1, 0), 8,
	       "process_vm: ordinary memory of a child");
	remote.iov_base = (void *)arena;
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	expect_errno(process_vm_readv(child, &local, 1, &remote, 1, 0), ESRCH,
		     "process_vm: nobody");
}

static void *look(void *argument)
{
	uint64_t *wrong = argument;
	int i, memory = open("/proc/thread-self/mem", O_RDWR | O_CLOEXEC);

	for (i = 0; i < 200; i++)
		*wrong += at(memory, arena) != MARK;
	close(memory);
	return NULL;
}

static void test_threads(void)
{
	uint64_t wrong[4] = { 0 }, unused;
	pthread_t threads[4];
	int i;

	test_call(&e, 0, TEST_WRITE, arena, MARK, &unused);
	for (i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, look, &wrong[i]);
	for (i = 0; i < 4; i++) {
		pthread_join(threads[i], NULL);
		expect(wrong[i], 0, "threads: what thread %d saw", i);
	}
}

static void test_production(int memory)
{
	uint64_t value = 0, before = inside(arena);

	expect_errno(pread(memory, &value, 8, arena), EIO, "production: read");
	expect_errno(pwrite(memory, &value, 8, arena), EIO,
		     "production: write");
	expect_hex(inside(arena), before, "production: nothing was written");
	expect_errno(pread(memory, &value, 8, e.tcs[1]), EIO,
		     "production: a TCS");
	expect_errno(pwrite(memory, &value, 8, e.tcs[1] + 8), EIO,
		     "production: TCS.FLAGS");
}

/* A device that is no enclave yet. */
static void test_unbuilt(int memory)
{
	struct enclave tiny;
	uint64_t value = 0;

	tiny_open(&tiny);
	tiny.secs.attributes |= SGX_ATTR_DEBUG;
	if (mmap((void *)tiny.base, PAGE, PROT_READ, MAP_SHARED | MAP_FIXED,
		 tiny.fd, 0) == MAP_FAILED)
		give_up("mmap before CREATE fails");
	expect_errno(pread(memory, &value, 8, tiny.base), EIO,
		     "before CREATE");
	tiny_create(&tiny);
	expect_errno(pread(memory, &value, 8, tiny.base), EIO,
		     "before ADD_PAGES");
	tiny_add(&tiny);
	expect(pread(memory, &value, 8, tiny.base), 8, "before INIT");
	enclave_destroy(&tiny);
}

int main(void)
{
	int memory = open_memory("/proc/self/mem", O_RDWR);

	build(false);
	test_production(memory);
	test_border(memory, false);
	test_process_vm(false);
	test_processes(memory, false);
	enclave_destroy(&e);

	build(true);
	test_code(memory);
	test_calls(memory);
	test_ranges(memory);
	test_border(memory, true);
	test_tcs(memory);
	test_process_vm(true);
	test_threads();
	test_process_vm_of_others();
	test_processes(memory, true);
	test_names();
	test_protections(memory);
	enclave_destroy(&e);

	test_unbuilt(memory);
	return done();
}
