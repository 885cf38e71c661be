// SPDX-License-Identifier: Apache-2.0
/* What a program with enclaves may do to itself; each subcommand is a test. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../../../samples/lib/loader.h"
#include "enclaves.h"

#define MAX_HELD 8

static char path[4096];
static struct enclave enclave;
static volatile pid_t a_thread;
static volatile uint64_t held[MAX_HELD] __attribute__((aligned(4096)));

static void die(const char *what)
{
	printf("%s: %s\n", what, strerror(errno));
	exit(1);
}

static void build(struct enclave *e, unsigned int threads)
{
	struct enclave_options options = { .threads = threads };

	if (enclave_build(e, path, &options))
		die("enclave_build");
}

static void call(struct enclave *e, unsigned int thread)
{
	uint64_t result;

	if (enclave_ecall(e, thread, CALL_ADD, (void *)41, &result) ||
	    result != 42)
		die("ECALL");
}

static void *hold(void *thread)
{
	struct sgx_enclave_run run;
	struct sgx_registers registers = {
		.rdi = CALL_HOLD, .rsi = (uint64_t)&held[(long)thread],
	};

	memset(&run, 0, sizeof(run));
	a_thread = gettid();
	for (;;)
		enclave_enter(&enclave, (long)thread, 2, &registers, &run);
	return NULL;
}

/* Threads that compute inside, for ever. */
static void hold_threads(int n)
{
	pthread_t thread;
	long i;

	build(&enclave, n + 1);
	for (i = 0; i < n; i++)
		pthread_create(&thread, NULL, hold, (void *)i);
	for (i = 0; i < n; i++)
		while (!held[i])
			sched_yield();
}

static int die_inside(const char *how)
{
	char *again[] = { path, NULL };

	hold_threads(3);
	call(&enclave, 3);
	if (!strcmp(how, "kill"))
		kill(getpid(), SIGKILL);
	if (!strcmp(how, "tgkill"))
		syscall(SYS_tgkill, getpid(), a_thread, SIGKILL);
	if (!strcmp(how, "exit"))
		exit(7);
	if (!strcmp(how, "exec")) {
		again[0] = "/bin/true";
		execv("/bin/true", again);
	}
	if (!strcmp(how, "fork")) {
		int i, status;

		for (i = 0; i < 20; i++) {
			pid_t pid = fork();

			if (!pid)
				_exit(i);
			waitpid(pid, &status, 0);
			if (WEXITSTATUS(status) != i)
				die("child");
			call(&enclave, 3);
		}
		exit(8);
	}
	if (!strcmp(how, "close")) {
		close(enclave.fd);
		call(&enclave, 3);
		munmap((void *)enclave.base, enclave.size);
		/* Those inside now fault, once each, and never leave. */
		exit(9);
	}
	if (!strcmp(how, "stop")) {
		int i;

		for (i = 0; i < 5; i++) {
			pid_t pid = fork();

			/* Again and again: the first may come before the stop. */
			while (!pid) {
				kill(getppid(), SIGCONT);
				sched_yield();
			}
			raise(SIGSTOP);
			kill(pid, SIGKILL);
			waitpid(pid, NULL, 0);
			call(&enclave, 3);
		}
		exit(10);
	}
	for (;;)
		pause();
}

static void *call_often(void *thread)
{
	int i;

	for (i = 0; i < 20; i++)
		call(&enclave, (long)thread);
	return NULL;
}

/* As many threads in an enclave of their own. */
static int in_threads(int n, void *(*what)(void *))
{
	pthread_t *thread = calloc(n, sizeof(*thread));
	long i;

	build(&enclave, n);
	for (i = 0; i < n; i++)
		if (pthread_create(&thread[i], NULL, what, (void *)i))
			die("pthread_create");
	for (i = 0; i < n; i++)
		pthread_join(thread[i], NULL);
	printf("all came back\n");
	return 0;
}

/*
 * Threads whose handler of SIGILL calls the enclave: an ENCLU there is a SIGILL
 * while SIGILL is blocked, of which the other threads must not notice anything.
 */
static _Thread_local long own_thread;

/* CALL_ADD by an ENCLU of the program's own. */
static void call_directly(struct enclave *e, unsigned int thread)
{
	uint64_t number = CALL_ADD, argument = 41;

	asm volatile("push %%rbp\n\t"
		     "lea 1f(%%rip), %%rcx\n\t"
		     "mov $2, %%eax\n\t"
		     "enclu\n\t"
		     "jmp 2f\n"
		     "1:\tenclu\n"
		     "2:\tpop %%rbp"
		     : "+D"(number), "+S"(argument)
		     : "b"(e->tcs[thread])
		     : "rax", "rcx", "rdx", "r8", "r9", "r10", "r11", "r12",
		       "r13", "r14", "r15", "cc", "memory");
	if (number != 42)
		die("a direct ECALL");
}

static void on_illegal(int number, siginfo_t *info, void *context)
{
	const int ud2_length = 2;

	(void)number;
	(void)info;
	call_directly(&enclave, own_thread);
	((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP] += ud2_length;
}

static void *do_illegal(void *thread)
{
	sigset_t blocked;
	int i;

	own_thread = (long)thread;
	for (i = 0; i < 100; i++) {
		call(&enclave, own_thread);
		asm volatile("ud2" : : : "memory");
	}
	pthread_sigmask(SIG_BLOCK, NULL, &blocked);
	if (sigismember(&blocked, SIGILL))
		printf("SIGILL stayed blocked\n");
	return NULL;
}

static int illegal(int n)
{
	struct sigaction action = { .sa_sigaction = on_illegal,
				    .sa_flags = SA_SIGINFO };

	sigaction(SIGILL, &action, NULL);
	return in_threads(n, do_illegal);
}

/*
 * Signals of faults that are blocked at an entry: sent to the thread inside they
 * stay pending, and outside they are blocked as before.
 */
static void *hold_blocked(void *thread)
{
	sigset_t faults, blocked, pending;

	sigemptyset(&faults);
	sigaddset(&faults, SIGILL);
	sigaddset(&faults, SIGSEGV);
	pthread_sigmask(SIG_BLOCK, &faults, NULL);
	if (enclave_ecall(&enclave, (long)thread, CALL_HOLD,
			  (void *)&held[(long)thread], &(uint64_t){ 0 }))
		die("ECALL");
	pthread_sigmask(SIG_BLOCK, NULL, &blocked);
	sigpending(&pending);
	printf("blocked %d %d %d, pending %d %d %d\n",
	       sigismember(&blocked, SIGILL), sigismember(&blocked, SIGSEGV),
	       sigismember(&blocked, SIGFPE), sigismember(&pending, SIGILL),
	       sigismember(&pending, SIGSEGV), sigismember(&pending, SIGFPE));
	return NULL;
}

static int blocked(void)
{
	pthread_t thread;

	build(&enclave, 2);
	pthread_create(&thread, NULL, hold_blocked, (void *)1);
	while (!held[1])
		sched_yield();
	pthread_kill(thread, SIGILL);
	pthread_kill(thread, SIGILL);
	pthread_kill(thread, SIGSEGV);
	call(&enclave, 0);
	held[1] = 2;
	pthread_join(thread, NULL);
	return 0;
}

/* More enclaves in a row than fit at once: the last of each must be released. */
static int in_a_row(int n)
{
	struct enclave e;
	int i;

	for (i = 0; i < n; i++) {
		build(&e, 1);
		call(&e, 0);
		if (i % 2) {	/* unmapped before it is closed, and after */
			munmap((void *)e.base, e.size);
			close(e.fd);
		} else {
			close(e.fd);
			munmap((void *)e.base, e.size);
		}
	}
	printf("%d enclaves\n", n);
	return 0;
}

static int exhaust(void)
{
	static struct enclave e[512];
	struct enclave_options options = { .heap_pages = 16 };
	int i, n, status = -1;

	fclose(stderr);		/* where the loader tells what failed */
	for (n = 0; n < 512; n++) {
		status = enclave_build(&e[n], path, &options);
		if (status)
			break;
	}
	printf("some were built %d, then: %s\n", n > 0, status ? strerror(errno) : "ok");
	for (i = 0; i <= n && i < 512; i++)
		enclave_destroy(&e[i]);
	options.heap_pages = 0;
	status = enclave_build(&enclave, path, &options);
	printf("after closing all: %d\n", status);
	if (!status)
		call(&enclave, 0);
	return status;
}

/* The enclave's descriptor goes to a child by a socket; the parent ends. */
static int pass_descriptor(void)
{
	char control[CMSG_SPACE(sizeof(int))] = "", byte = 0;
	struct iovec vector = { &byte, 1 };
	struct msghdr message = {
		.msg_iov = &vector, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = sizeof(control),
	};
	int sockets[2], fd;
	struct cmsghdr *header;

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, sockets))
		die("socketpair");
	if (fork()) {
		close(sockets[1]);
		build(&enclave, 1);
		call(&enclave, 0);
		header = CMSG_FIRSTHDR(&message);
		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_RIGHTS;
		header->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(header), &enclave.fd, sizeof(int));
		if (sendmsg(sockets[0], &message, 0) != 1)
			die("sendmsg");
		return 0;	/* the enclave is in the socket only, or in the child */
	}
	close(sockets[0]);
	if (recvmsg(sockets[1], &message, 0) != 1)
		die("recvmsg");
	while (read(sockets[1], &byte, 1) > 0)	/* until the parent has ended */
		;
	header = CMSG_FIRSTHDR(&message);
	memcpy(&fd, CMSG_DATA(header), sizeof(int));
	if (!ioctl(fd, 0x4008A400, &byte))
		die("a second CREATE");
	printf("CREATE again: %s\n", strerror(errno));
	return 0;
}

/* What a memfd would do and a device must survive. */
static int mistreat(const char *when)
{
	static char page[4096];
	int fd = enclave_open_device();
	struct enclave_options options = { .threads = 1 };
	int i, status;

	if (!strcmp(when, "before")) {
		status = ftruncate(fd, 1 << 20);
		status |= write(fd, page, sizeof(page)) < 0;
		status |= fallocate(fd, 3, 0, 4096);
		status |= fcntl(fd, F_ADD_SEALS, 15);
		uint64_t secs = (uint64_t)page;

		status = ioctl(fd, 0x4008A400, &secs);
		printf("CREATE failed %d\n", status != 0);
		close(fd);
		build(&enclave, 1);
		call(&enclave, 0);
		return 0;
	}
	close(fd);
	if (enclave_build(&enclave, path, &options))
		die("enclave_build");
	call(&enclave, 0);
	for (i = 0; i < 100; i++) {
		status = ftruncate(enclave.fd, i * 4096);
		status |= fallocate(enclave.fd, 3, i * 4096, 4096);
		status |= pwrite(enclave.fd, page, sizeof(page), i * 4096) < 0;
		status |= fcntl(enclave.fd, F_ADD_SEALS, i);
	}
	printf("survived\n");
	fflush(stdout);
	enclave_destroy(&enclave);
	build(&enclave, 1);
	call(&enclave, 0);
	printf("the next one works\n");
	return 0;
}

/* Enclave memory as a buffer of system calls: whatever they answer, no harm. */
static int as_buffer(void)
{
	int pipes[2], fd = open("/proc/self/exe", O_RDONLY);
	char *inside, *middle;
	uint64_t address;
	struct stat st;
	long results = 0;

	build(&enclave, 1);
	if (enclave_ecall(&enclave, 0, CALL_ADDRESS, NULL, &address))
		die("ECALL");
	inside = (char *)address;
	middle = (char *)enclave.base + enclave.size - 4096;
	if (pipe(pipes))
		die("pipe");
	results += read(fd, middle, 4096);
	results += write(pipes[1], middle, 4096);
	results += fstat(fd, (struct stat *)middle);
	results += stat(middle, &st);
	results += open(middle, O_RDONLY);
	results += ioctl(enclave.fd, 0xC030A401, middle);
	results += ioctl(enclave.fd, 0x4008A402, middle);
	results += ioctl(enclave.fd, 0xC018A407, enclave.base);
	results += write(pipes[1], inside, 8);
	results += access(inside, F_OK);
	call(&enclave, 0);
	printf("survived %d\n", results != 12345);
	return 0;
}

static void on_alarm(int signal)
{
	(void)signal;
}

/* Signals at 1 kHz while computing inside and going in and out. */
static int alarms(void)
{
	struct itimerval every = { { 0, 1000 }, { 0, 1000 } };
	struct sigaction action = { .sa_handler = on_alarm, .sa_flags = SA_RESTART };
	int i;

	build(&enclave, 1);
	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &every, NULL);
	for (i = 0; i < 3000; i++)
		call(&enclave, 0);
	printf("all came back\n");
	return 0;
}

/* A sandbox that knows nothing of us: any other call kills. */
static int sandbox(void)
{
	static const int allowed[] = {
		SYS_write, SYS_exit_group, SYS_rt_sigreturn, SYS_brk, SYS_mmap,
		SYS_newfstatat, SYS_fstat,
	};
	struct sock_filter filter[2 * 7 + 2] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 offsetof(struct seccomp_data, nr)),
	};
	struct sock_fprog program = { 2 * 7 + 2, filter };
	int i, n = 1;

	build(&enclave, 1);
	printf("sandbox\n");
	for (i = 0; i < 7; i++) {
		filter[n++] = (struct sock_filter)
			BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, allowed[i], 0, 1);
		filter[n++] = (struct sock_filter)
			BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	}
	filter[n++] = (struct sock_filter)
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
		die("seccomp");
	for (i = 0; i < 10; i++)
		call(&enclave, 0);
	printf("calls from the sandbox\n");
	return 0;
}

#define FAMILY 3

static int tracer(void)
{
	char line[128];
	int tid = -1;
	FILE *status = fopen("/proc/self/status", "r");

	while (status && fgets(line, sizeof(line), status))
		if (sscanf(line, "TracerPid: %d", &tid) == 1)
			break;
	if (status)
		fclose(status);
	return tid;
}

static void count_alarm(int sig)
{
	(void)sig;
	held[0]++;
}

/* Builds an enclave and calls it under alarms; so does a child that has it. */
static void use_enclave(int *tracers)
{
	struct itimerval often = { { 0, 1000 }, { 0, 1000 } };
	int i, status;
	pid_t pid;

	signal(SIGALRM, count_alarm);
	setitimer(ITIMER_REAL, &often, NULL);
	build(&enclave, 2);
	tracers[0] = tracer();
	pid = fork();
	for (i = 0; i < 50; i++)
		call(&enclave, !pid);
	if (!pid) {
		tracers[1] = tracer();
		_exit(0);
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (status)
		die("grandchild");
}

/* Processes that use enclaves at the same time, while they are stopped. */
static int family(void)
{
	int *tracers = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int go[2], i, j, status, distinct = 0;
	pid_t pids[FAMILY];
	char byte;

	if (tracers == MAP_FAILED || pipe(go))
		die("setup");
	for (i = 0; i < FAMILY; i++) {
		pids[i] = fork();
		if (!pids[i]) {
			use_enclave(tracers + 2 * i);
			close(go[1]);
			exit(read(go[0], &byte, 1) ? 1 : 20 + i);
		}
	}
	for (j = 0; j < 100; j++) {
		kill(pids[j % FAMILY], SIGSTOP);
		waitpid(pids[j % FAMILY], &status, WUNTRACED);
		if (!WIFSTOPPED(status))
			die("not stopped");
		kill(pids[j % FAMILY], SIGCONT);
	}
	close(go[1]);
	for (i = 0; i < FAMILY; i++) {
		waitpid(pids[i], &status, 0);
		if (!WIFEXITED(status) || WEXITSTATUS(status) != 20 + i)
			die("status");
	}
	for (i = 0; i < 2 * FAMILY; i++) {
		for (j = 0; j < i && tracers[j] != tracers[i]; j++)
			;
		distinct += j == i;
	}
	/* Two that begin at once may share one. */
	if (distinct < 2 * FAMILY - 2)
		printf("%d tracers\n", distinct);
	printf("all came back\n");
	return 0;
}

/* Processes that are killed while they begin to use an enclave. */
static int killed_family(void)
{
	int i, status;
	pid_t pid;

	build(&enclave, 1);
	for (i = 0; i < 60; i++) {
		pid = fork();
		if (!pid) {
			build(&enclave, 1);
			for (;;)
				call(&enclave, 0);
		}
		if (i % 3)
			usleep(i * 100);
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
		if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
			die("not killed");
		call(&enclave, 0);
	}
	printf("all killed\n");
	return 0;
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	const char *value = argc > 2 ? argv[2] : "";

	setvbuf(stdout, NULL, _IOLBF, 0);
	strcpy(path, enclave_beside_program("enclaves.enclave"));
	if (!strcmp(what, "die"))
		return die_inside(value);
	if (!strcmp(what, "threads"))
		return in_threads(atoi(value), call_often);
	if (!strcmp(what, "illegal"))
		return illegal(atoi(value));
	if (!strcmp(what, "blocked"))
		return blocked();
	if (!strcmp(what, "in-a-row"))
		return in_a_row(atoi(value));
	if (!strcmp(what, "exhaust"))
		return exhaust();
	if (!strcmp(what, "pass"))
		return pass_descriptor();
	if (!strcmp(what, "mistreat"))
		return mistreat(value);
	if (!strcmp(what, "as-buffer"))
		return as_buffer();
	if (!strcmp(what, "alarms"))
		return alarms();
	if (!strcmp(what, "sandbox"))
		return sandbox();
	if (!strcmp(what, "family"))
		return family();
	if (!strcmp(what, "killed-family"))
		return killed_family();
	return 2;
}
