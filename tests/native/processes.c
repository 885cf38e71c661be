// SPDX-License-Identifier: Apache-2.0
/*
 * Threads and processes around an enclave: many inside at once, some that die
 * there, children of every kind, and the device's descriptor on its ways.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "raw.h"
#include "support.h"

#define THREADS 64
#define CALLER 0			/* the thread for calls that return */

static struct enclave e;
static uint64_t arena;
static const char *program;

static uint64_t call(unsigned int thread, enum test_ecall number, uint64_t rsi,
		     uint64_t rdx)
{
	uint64_t result = 0;

	test_call(&e, thread, number, rsi, rdx, &result);
	return result;
}

static bool works(unsigned int thread)
{
	return call(thread, TEST_NOTHING, 0, 0) == TEST_MAGIC;
}

/* A thread inside, until it is let go. */
struct stay {
	struct test_wait wait;
	unsigned int thread;
	uint64_t result;
	pthread_t id;
	volatile pid_t tid;
	bool raw;
};

static void *be_inside(void *argument)
{
	struct stay *stay = argument;

	stay->tid = syscall(SYS_gettid);
	setpriority(PRIO_PROCESS, 0, 19);	/* it only passes the time */
	if (stay->raw)
		stay->result = raw_enclu(SGX_EENTER, e.tcs[stay->thread],
					 raw_aep, TEST_SPIN_UNTIL,
					 (uint64_t)&stay->wait, 0);
	else
		stay->result = call(stay->thread, TEST_SPIN_UNTIL,
				    (uint64_t)&stay->wait, 0);
	return NULL;
}

static void go_inside(struct stay *stay, unsigned int thread, bool raw)
{
	memset(stay, 0, sizeof(*stay));
	stay->thread = thread;
	stay->raw = raw;
	if (pthread_create(&stay->id, NULL, be_inside, stay))
		give_up("no thread");
	while (!stay->wait.inside)
		usleep(200);
}

static uint64_t come_out(struct stay *stay)
{
	stay->wait.leave = 1;
	pthread_join(stay->id, NULL);
	return stay->result;
}

static void test_many_threads(void)
{
	static struct stay stays[THREADS];
	unsigned int i, wrong = 0;

	for (i = 0; i < THREADS; i++)
		go_inside(&stays[i], i, i & 1);
	expect(i, THREADS, "many threads are inside at once");
	for (i = 0; i < THREADS; i++)
		stays[i].wait.leave = 1;
	for (i = 0; i < THREADS; i++)
		wrong += come_out(&stays[i]) != TEST_MAGIC;
	expect(wrong, 0, "many threads: all come out");
}

static sigjmp_buf out;

static void jump(int number)
{
	siglongjmp(out, number);
}

static bool raw_refused(uint64_t tcs)
{
	struct sigaction action = { .sa_handler = jump };
	int number = sigsetjmp(out, 1);

	sigaction(SIGSEGV, &action, NULL);
	if (!number)
		raw_enclu(SGX_EENTER, tcs, raw_aep, TEST_NOTHING, 0, 0);
	signal(SIGSEGV, SIG_DFL);
	return number == SIGSEGV;
}

static void test_busy(void)
{
	struct stay stay;

	go_inside(&stay, 1, true);
	expect_enclu_fault(e.tcs[1], SGX_EENTER, SGX_VECTOR_GP, "a busy TCS");
	expect_true(raw_refused(e.tcs[1]), "a busy TCS, by our own ENCLU");
	expect_enclu_fault(e.tcs[1], SGX_ERESUME, SGX_VECTOR_GP,
			   "ERESUME of a busy TCS");
	expect_true(works(CALLER), "a busy TCS: another one works");
	expect_hex(come_out(&stay), TEST_MAGIC, "a busy TCS: it comes out");
	expect_true(works(1), "a busy TCS: free again");
}

/* Children: 0 if all is well in there. */
static int child(int (*body)(void), const char *name)
{
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid)
		_exit(body());
	waitpid(pid, &status, 0);
	return expect(status, 0, "%s", name);
}

static struct stay held;

static int child_of_busy(void)
{
	struct sgx_enclave_run run = { .tcs = e.tcs[1] };
	struct sgx_registers registers = { .rdi = TEST_NOTHING };

	if (!works(CALLER))
		return 1;
	if (sgx_enter(&registers, SGX_EENTER, &run) ||
	    run.exception_vector != SGX_VECTOR_GP)
		return 2;
	return call(CALLER, TEST_INCREMENT, 0, 0) != 2;
}

static int child_without(void)
{
	struct sgx_enclave_run run = { .tcs = e.tcs[CALLER] };
	struct sgx_registers registers = { .rdi = TEST_NOTHING };

	munmap((void *)e.base, e.size);
	if (sgx_enter(&registers, SGX_EENTER, &run) ||
	    run.exception_vector != SGX_VECTOR_PF)
		return 1;
	return raw_refused(e.tcs[CALLER]) ? 0 : 2;
}

static int child_not_inherited(void)
{
	struct sgx_enclave_run run = { .tcs = e.tcs[CALLER] };
	struct sgx_registers registers = { .rdi = TEST_NOTHING };

	if (sgx_enter(&registers, SGX_EENTER, &run))
		return 1;
	return run.function != SGX_EENTER ||
	       run.exception_vector != SGX_VECTOR_PF;
}

static void test_forks(void)
{
	go_inside(&held, 1, false);
	expect(call(CALLER, TEST_INCREMENT, 0, 0), 1, "fork: a count before");
	child(child_of_busy, "fork: a child while a thread is inside");
	expect(call(CALLER, TEST_INCREMENT, 0, 0), 3,
	       "fork: the enclave is the same one");
	child(child_without, "fork: a child that unmaps the enclave");
	expect_true(works(CALLER), "fork: which is the child's own affair");
	madvise((void *)e.base, e.size, MADV_DONTFORK);
	child(child_not_inherited, "fork: a child that inherits none");
	madvise((void *)e.base, e.size, MADV_DOFORK);
	expect_hex(come_out(&held), TEST_MAGIC,
		   "fork: the thread inside comes out");
}

extern char **environ;

static int run_clone(void *nothing)
{
	(void)nothing;
	return works(3) ? 0 : 1;
}

static void test_other_children(void)
{
	char *const arguments[] = { (char *)"true", NULL };
	static uint8_t stack[65536] __attribute__((aligned(16)));
	int status = -1;
	pid_t pid;

	go_inside(&held, 1, true);
	pid = vfork();
	if (!pid) {
		execve("/bin/true", arguments, environ);
		_exit(9);
	}
	waitpid(pid, &status, 0);
	expect(status, 0, "vfork and exec");
	status = posix_spawn(&pid, "/bin/true", NULL, NULL, arguments, environ);
	expect(status, 0, "posix_spawn");
	waitpid(pid, &status, 0);
	expect(status, 0, "posix_spawn: what it ran");
	expect(system("exit 3"), 3 << 8, "system");
	pid = clone(run_clone, stack + sizeof(stack), CLONE_VM | SIGCHLD, NULL);
	waitpid(pid, &status, 0);
	expect(status, 0, "a process that shares the address space: ECALL");
	expect_hex(come_out(&held), TEST_MAGIC,
		   "other children: the thread inside comes out");
	expect_true(works(CALLER), "other children: the enclave is well");
}

/* Death inside. */
static int die_inside(void)
{
	go_inside(&held, 5, true);
	kill(getpid(), SIGKILL);
	return 0;
}

static int die_by_thread(void)
{
	go_inside(&held, 6, false);
	syscall(SYS_tgkill, getpid(), held.tid, SIGKILL);
	return come_out(&held) == TEST_MAGIC;
}

static int exit_meanwhile(void)
{
	go_inside(&held, 7, false);
	exit(0);
}

static int exec_meanwhile(void)
{
	char *const arguments[] = { (char *)"true", NULL };

	go_inside(&held, 8, true);
	execve("/bin/true", arguments, environ);
	return 9;
}

static void expect_killed(int (*body)(void), const char *name)
{
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid)
		_exit(body());
	waitpid(pid, &status, 0);
	expect(status, SIGKILL, "%s", name);
}

static void *leave_at_once(void *nothing)
{
	works(9);
	pthread_exit(nothing);
}

static void test_deaths(void)
{
	pthread_t other;

	expect_killed(die_inside, "killed with a thread inside");
	expect_killed(die_by_thread, "a thread killed inside ends all");
	child(exit_meanwhile, "exit with a thread inside");
	child(exec_meanwhile, "exec with a thread inside");
	expect_true(works(CALLER), "after those: the enclave is well");
	go_inside(&held, 1, true);
	pthread_create(&other, NULL, leave_at_once, NULL);
	pthread_join(other, NULL);
	expect_hex(come_out(&held), TEST_MAGIC,
		   "another thread ends: the one inside comes out");
}

/* Memory that goes while a thread is inside. */
static void test_unmap(void)
{
	call(CALLER, TEST_WRITE, arena, 4711);
	go_inside(&held, 1, true);
	expect_errno(munmap((void *)arena, PAGE), 0,
		     "munmap of a page while a thread is inside");
	expect_exception(&e, 10, TEST_READ, arena, 0, SGX_VECTOR_PF,
			 SGX_PF_USER, arena, "munmap: the page");
	expect_true(mmap((void *)arena, PAGE, PROT_READ, MAP_SHARED | MAP_FIXED,
			 e.fd, 0) == (void *)arena, "munmap: mapped again");
	expect(call(CALLER, TEST_READ, arena, 0), 4711,
	       "munmap: it is the page that it was");
	expect_exception(&e, 11, TEST_WRITE, arena, 0, SGX_VECTOR_PF, 7, arena,
			 "munmap: mapped for reading");
	expect_errno(mprotect((void *)arena, PAGE, PROT_READ | PROT_WRITE), 0,
		     "munmap: mprotect while a thread is inside");
	expect_hex(call(CALLER, TEST_WRITE, arena, 1), TEST_MAGIC,
		   "munmap: written again");
	/* Data, a TCS, data: the widest that the narrowest allows. */
	expect_errno(mprotect((void *)(e.base + e.regions[0].offset),
			      e.regions[0].size + e.regions[1].size,
			      PROT_READ | PROT_WRITE), EACCES,
		     "mprotect over pages of which some allow it");
	expect_hex(come_out(&held), TEST_MAGIC, "munmap: the thread inside");
	expect_true(works(CALLER), "munmap: the enclave is well");
}

/* How debuggers look: by EDBGRD and EDBGWR, so at debug enclaves only. */
static void test_debugger(bool debug)
{
	const char *name = debug ? "a debug enclave" : "a production enclave";
	struct enclave_options options = { .debug = debug, .threads = 2 };
	uint64_t value = 0, place, flags = SGX_TCS_DBGOPTIN;
	int memory = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
	struct enclave other;
	struct iovec local = { &value, 8 }, remote = { NULL, 8 };

	test_enclave(&other, &options);
	place = test_address(&other, PLACE_ARENA) + 64;
	remote.iov_base = (void *)place;
	test_call(&other, 0, TEST_WRITE, place, 4711, &value);
	value = 0;
	expect_errno(process_vm_readv(getpid(), &local, 1, &remote, 1, 0),
		     EFAULT, "%s: process_vm_readv", name);
	value = 0;
	if (debug) {
		expect(pread(memory, &value, 8, place), 8, "%s: read", name);
		expect(value, 4711, "%s: what it read", name);
		value = 99;
		expect(pwrite(memory, &value, 8, place), 8, "%s: write", name);
		test_call(&other, 0, TEST_READ, place, 0, &value);
		expect(value, 99, "%s: what it wrote", name);
		expect(pwrite(memory, &flags, 8, other.tcs[1] + 8), 8,
		       "%s: write to TCS.FLAGS", name);
	} else {
		expect_errno(pread(memory, &value, 8, place), EIO, "%s: read",
			     name);
		expect_errno(pwrite(memory, &value, 8, place), EIO, "%s: write",
			     name);
	}
	close(memory);
	enclave_destroy(&other);
}

/* The descriptor: duplicated, closed, sent, inherited. */
static void send_fd(int socket, int fd)
{
	char byte = 'x', control[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec data = { &byte, 1 };
	struct msghdr message = {
		.msg_iov = &data, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = sizeof(control),
	};
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);

	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(header), &fd, sizeof(int));
	if (sendmsg(socket, &message, 0) != 1)
		give_up("sendmsg failed");
}

static int receive_fd(int socket)
{
	char byte, control[CMSG_SPACE(sizeof(int))];
	struct iovec data = { &byte, 1 };
	struct msghdr message = {
		.msg_iov = &data, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = sizeof(control),
	};
	int fd = -1;

	if (recvmsg(socket, &message, 0) == 1 && CMSG_FIRSTHDR(&message))
		memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(int));
	return fd;
}

/* In a process that has nothing of the enclave but the descriptor. */
static int adopt(int fd, uint64_t base)
{
	struct enclave_options options = { .threads = THREADS, .exinfo = true };
	struct enclave adopted;
	struct sgx_enclave_init init = { 0 };
	struct sgx_registers registers = { .rdi = TEST_NOTHING };
	struct sgx_enclave_run run = { 0 };

	enclave_zero(&adopted);
	if (!sgx_cpu_detect(&adopted.cpu) || enclave_find_vdso() ||
	    enclave_load(&adopted, enclave_beside_program("test.enclave"),
			 &options))
		return 1;
	adopted.fd = fd;
	adopted.base = base;
	if (ioctl(fd, SGX_IOC_ENCLAVE_INIT, &init) != -1 || errno != EINVAL)
		return 2;
	if (enclave_map(&adopted))
		return 3;
	enclave_find_threads(&adopted);
	if (enclave_enter(&adopted, 12, SGX_EENTER, &registers, &run))
		return 4;
	return registers.rdi != TEST_MAGIC;
}

static int child_of_closed(void)
{
	return !works(CALLER);
}

static void test_descriptor(void)
{
	char number[16], base[32];
	char *const arguments[] = {
		(char *)program, (char *)"adopt", number, base, NULL,
	};
	int copy, sockets[2], status;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, sockets))
		give_up("no sockets");
	fflush(stdout);
	pid = fork();
	if (!pid) {
		close(e.fd);
		munmap((void *)e.base, e.size);
		_exit(adopt(receive_fd(sockets[1]), e.base));
	}
	send_fd(sockets[0], e.fd);
	waitpid(pid, &status, 0);
	expect(status, 0, "the descriptor by a socket");

	copy = dup(e.fd);		/* not closed by exec, as the first is */
	snprintf(number, sizeof(number), "%d", copy);
	snprintf(base, sizeof(base), "%llx", (unsigned long long)e.base);
	pid = fork();
	if (!pid) {
		execve("/proc/self/exe", arguments, environ);
		_exit(99);
	}
	waitpid(pid, &status, 0);
	expect(status, 0, "the descriptor by exec");

	close(e.fd);
	expect_true(works(CALLER), "one of two descriptors closed");
	close(copy);
	expect_true(works(CALLER), "both descriptors closed");
	e.fd = -1;
	child(child_of_closed, "a child without a descriptor");
}

int main(int argc, char **argv)
{
	struct enclave_options options = { .threads = THREADS, .exinfo = true };

	program = argv[0];
	if (argc == 4)
		return adopt(atoi(argv[2]), strtoull(argv[3], NULL, 16));
	test_enclave(&e, &options);
	arena = test_address(&e, PLACE_ARENA);
	test_many_threads();
	test_busy();
	test_forks();
	test_other_children();
	test_deaths();
	test_unmap();
	test_descriptor();
	enclave_destroy(&e);
	test_debugger(true);
	test_debugger(false);
	return done();
}
