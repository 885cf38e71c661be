// SPDX-License-Identifier: Apache-2.0
/*
 * Programs that attack their supervisor, one a subcommand: hostile WHAT SECONDS.
 * Each harms itself only; an innocent program runs beside it. Files are opened
 * only in the working directory, which is the test's own.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../../../../samples/lib/loader.h"
#include "enclaves.h"

#define PAGE 4096ul

static char path[4096];
static struct enclave enclave;
static volatile int done;
static time_t end;
static char self[4096];

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

static int call(struct enclave *e, unsigned int thread)
{
	struct sgx_enclave_run run = { 0 };
	struct sgx_registers registers = { .rdi = CALL_ADD, .rsi = 41 };

	return enclave_enter(e, thread, 2, &registers, &run) || registers.rdi != 42;
}

static void must_work(void)
{
	struct enclave e;

	build(&e, 1);
	if (call(&e, 0))
		die("ECALL");
	enclave_destroy(&e);
}

static uint64_t random_number(void)
{
	static __thread uint64_t state;

	if (!state)
		state = (uint64_t)&state | 1;
	state = state * 6364136223846793005ull + 1442695040888963407ull;
	return state >> 33;
}

/* The innocent: works until the file "stop" is there, and says whether all was well. */
static int innocent(void)
{
	long calls = 0;

	build(&enclave, 1);
	close(open("ready", O_WRONLY | O_CREAT, 0600));
	while (access("stop", F_OK)) {
		if (call(&enclave, 0)) {
			printf("an innocent ECALL failed\n");
			return 1;
		}
		if (++calls % 200 == 0)
			must_work();
	}
	printf("innocent: well\n");
	return 0;
}

static struct {
	uint64_t create[1], add[6], init[1];
	uint64_t info[8] __attribute__((aligned(64)));
	struct sgx_sigstruct sigstruct __attribute__((aligned(4096)));
	struct sgx_secs secs __attribute__((aligned(4096)));
	char name[64];
	uint8_t page[4096] __attribute__((aligned(4096)));
} *shared;

static void *scramble(void *unused)
{
	static const char *const names[] = {
		"/dev/sgx_enclave", "/dev/sgx_provision", "./plain", "/dev/sgx/enclave",
	};

	while (!done) {
		((uint8_t *)&shared->info)[random_number() % 64] ^= 1 << random_number() % 8;
		((uint8_t *)&shared->sigstruct)[random_number() % sizeof(shared->sigstruct)]++;
		((uint8_t *)&shared->secs)[random_number() % 64] ^= 1;
		shared->add[random_number() % 6] = random_number() % 16 * PAGE;
		shared->create[0] = random_number() % 2 ? (uint64_t)&shared->secs : random_number();
		shared->init[0] = random_number() % 4 ? (uint64_t)&shared->sigstruct : random_number();
		strcpy(shared->name, names[random_number() % 4]);
	}
	return unused;
}

/* Arguments that another thread changes. */
static int arguments(void)
{
	pthread_t thread;

	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pthread_create(&thread, NULL, scramble, NULL);
	while (time(NULL) < end) {
		int i, fd = open(shared->name, O_RDWR);

		memcpy(&shared->secs, &(struct sgx_secs){
			.size = 16 * PAGE, .base = 0x100000000000, .ssa_frame_pages = 1,
			.attributes = 4, .xfrm = 3 }, 64);
		shared->create[0] = (uint64_t)&shared->secs;
		ioctl(fd, SGX_IOC_ENCLAVE_CREATE, shared->create);
		for (i = 0; i < 16; i++) {
			memcpy(shared->add, (uint64_t[]){ (uint64_t)shared->page,
				i * PAGE, PAGE, (uint64_t)shared->info, 1, 0 }, 48);
			shared->info[0] = 0x203;
			ioctl(fd, SGX_IOC_ENCLAVE_ADD_PAGES, shared->add);
		}
		ioctl(fd, SGX_IOC_ENCLAVE_INIT, shared->init);
		close(fd);
	}
	done = 1;
	pthread_join(thread, NULL);
	must_work();
	return 0;
}

static void *replace_descriptors(void *unused)
{
	int null = open("/dev/null", O_RDWR), ends[2];

	/* Opening the end of a pipe whose other end is gone waits for ever. */
	if (pipe(ends))
		return unused;
	dup2(ends[1], 64);
	dup2(null, 65);
	close(ends[0]);
	close(ends[1]);
	close(null);
	while (!done) {
		int fd = 4 + random_number() % 8;

		if (random_number() % 2)
			close(fd);
		else
			dup2(64 + random_number() % 2, fd);
	}
	close(64);
	close(65);
	return unused;
}

/* Descriptors that go, or become others, during the calls. */
static int descriptors(void)
{
	pthread_t thread;
	static uint8_t page[4096] __attribute__((aligned(4096)));
	struct sgx_secs secs __attribute__((aligned(4096)));
	uint64_t info[8] __attribute__((aligned(64))) = { 0x203 };

	dup2(open(".", O_RDONLY), 3);
	pthread_create(&thread, NULL, replace_descriptors, NULL);
	while (time(NULL) < end) {
		int fd = open("/dev/sgx_enclave", random_number() % 2 ? O_RDWR : O_WRONLY);
		uint64_t create[1] = { (uint64_t)&secs };
		uint64_t add[6] = { (uint64_t)page, 0, 4096, (uint64_t)info, 1, 0 };
		void *p;

		memset(&secs, 0, sizeof(secs));
		secs.size = 16 * PAGE;
		secs.base = 0x100000000000;
		secs.ssa_frame_pages = 1;
		secs.attributes = 4;
		secs.xfrm = 3;
		ioctl(fd, SGX_IOC_ENCLAVE_CREATE, create);
		ioctl(fd, SGX_IOC_ENCLAVE_ADD_PAGES, add);
		p = mmap((void *)0x100000000000, 4 * PAGE, PROT_READ,
			 MAP_SHARED | MAP_FIXED, fd, 0);
		if (p != MAP_FAILED)
			munmap(p, 4 * PAGE);
		close(fd);
	}
	done = 1;
	pthread_join(thread, NULL);
	must_work();
	return 0;
}

static void *call_for_ever(void *thread)
{
	while (!done)
		call(&enclave, (long)thread);
	return NULL;
}

static void *change_range(void *unused)
{
	while (!done) {
		uint64_t page = random_number() % (enclave.size / PAGE);
		void *p = (void *)(enclave.base + page * PAGE);

		switch (random_number() % 5) {
		case 0: munmap(p, PAGE); break;
		case 1: mprotect(p, 2 * PAGE, random_number() % 8); break;
		case 2: mremap(p, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, (void *)0x300000000000); break;
		case 3: mmap(p, PAGE, 3, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0); break;
		default: mmap(p, PAGE, random_number() % 8, MAP_SHARED | MAP_FIXED, enclave.fd, 0); break;
		}
	}
	return unused;
}

/* Enclave ranges that are taken away during entries. */
static int ranges(void)
{
	pthread_t callers[2], changer;
	long i;

	build(&enclave, 2);
	for (i = 0; i < 2; i++)
		pthread_create(&callers[i], NULL, call_for_ever, (void *)i);
	pthread_create(&changer, NULL, change_range, NULL);
	while (time(NULL) < end)
		usleep(10000);
	/* Threads that no longer come out are killed with the rest. */
	return 0;
}

/* Everything of ours in the address space goes: the vDSO image and the ageing page. */
static int image(void)
{
	pthread_t thread;
	FILE *maps;
	char line[512];
	uint64_t start, last;
	uint64_t vdso = getauxval(AT_SYSINFO_EHDR);
	int i;

	build(&enclave, 2);
	pthread_create(&thread, NULL, call_for_ever, (void *)0);
	for (i = 0; i < 20; i++)
		if (call(&enclave, 1))
			die("ECALL");
	maps = fopen("/proc/self/maps", "r");
	while (fgets(line, sizeof(line), maps)) {
		if (sscanf(line, "%lx-%lx", &start, &last) != 2)
			continue;
		if (strstr(line, "softsgx") || (vdso >= start && vdso < last)) {
			mprotect((void *)start, last - start, PROT_READ | PROT_WRITE | PROT_EXEC);
			memset((void *)start, 0xcc, last - start);
			mprotect((void *)start, last - start, PROT_NONE);
			munmap((void *)start, last - start);
		}
	}
	for (i = 0; i < 50; i++) {
		int fd = syscall(SYS_openat, AT_FDCWD, "/dev/sgx_enclave", O_RDWR);

		syscall(SYS_ioctl, fd, SGX_IOC_ENCLAVE_CREATE, 8);
		syscall(SYS_mmap, 0, PAGE, 3, MAP_SHARED, fd, 0);
		syscall(SYS_close, fd);
	}
	syscall(SYS_exit_group, 0);
	return 1;
}

/* The file behind the device, in the middle of everything. */
static int file(void)
{
	pthread_t callers[2];
	static uint8_t junk[4096];
	long i;

	build(&enclave, 2);
	for (i = 0; i < 2; i++)
		pthread_create(&callers[i], NULL, call_for_ever, (void *)i);
	while (time(NULL) < end) {
		uint64_t page = random_number() % (enclave.size / PAGE);

		switch (random_number() % 5) {
		case 0: (void)!ftruncate(enclave.fd, random_number() % (2 * enclave.size)); break;
		case 1: fallocate(enclave.fd, 3, page * PAGE, PAGE); break;
		case 2: fallocate(enclave.fd, 0, page * PAGE, 64 * PAGE); break;
		case 3: (void)!pwrite(enclave.fd, junk, sizeof(junk), page * PAGE); break;
		default: madvise((void *)(enclave.base + page * PAGE), PAGE, random_number() % 26); break;
		}
	}
	return 0;
}

/* The processes that help with paging are visible: stop, kill, end, again and again. */
static int helpers(void)
{
	while (time(NULL) < end) {
		DIR *proc = opendir("/proc");
		struct dirent *entry;

		build(&enclave, 1);
		while ((entry = readdir(proc))) {
			char name[300], comm[32] = "";
			int fd, pid = atoi(entry->d_name);

			snprintf(name, sizeof(name), "/proc/%s/comm", entry->d_name);
			fd = pid ? open(name, O_RDONLY) : -1;
			if (fd < 0)
				continue;
			(void)!read(fd, comm, sizeof(comm) - 1);
			close(fd);
			/* Only those of this program: they share our executable. */
			snprintf(name, sizeof(name), "/proc/%d/exe", pid);
			char exe[4096] = "";
			(void)!readlink(name, exe, sizeof(exe) - 1);
			if (!strcmp(exe, self) && pid != getpid() && !strncmp(comm, "softsgx-paging", 14)) {
				static const int signals[] = { SIGSTOP, SIGKILL, SIGTERM, SIGSEGV, SIGCONT };

				kill(pid, signals[random_number() % 5]);
			}
		}
		closedir(proc);
		enclave_destroy(&enclave);
	}
	must_work();
	return 0;
}

/* Signals to the supervisor that neither stop nor end it by right. */
static int signals(void)
{
	char line[256];
	FILE *status = fopen("/proc/self/status", "r");
	int tracer = 0, i;

	while (fgets(line, sizeof(line), status))
		sscanf(line, "TracerPid: %d", &tracer);
	if (!tracer)
		die("no tracer");
	signal(SIGUSR1, SIG_IGN);
	signal(SIGUSR2, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGWINCH, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	signal(SIGALRM, SIG_IGN);
	build(&enclave, 1);
	for (i = 0; i < 500; i++) {
		static const int list[] = {
			SIGUSR1, SIGUSR2, SIGHUP, SIGWINCH, SIGTERM, SIGCHLD, SIGALRM, SIGCONT,
		};

		kill(tracer, list[i % 8]);
		if (call(&enclave, 0))
			die("ECALL");
	}
	return 0;
}

/* Processes upon processes with the same enclave. */
static int storm(void)
{
	int i, status, wrong = 0;

	build(&enclave, 4);
	while (time(NULL) < end) {
		for (i = 0; i < 12; i++) {
			pid_t pid = fork();

			if (pid < 0)
				continue;
			if (!pid) {
				int k;

				for (k = 0; k < 3; k++)
					if (!fork())
						_exit(call(&enclave, k));
				if (i % 4 == 0)
					raise(SIGKILL);
				if (i % 4 == 1)
					execl(self, self, "nothing", NULL);
				_exit(0);
			}
		}
		while (wait(&status) > 0)
			wrong += WIFSIGNALED(status) && WTERMSIG(status) != SIGKILL;
	}
	if (wrong)
		die("children");
	return 0;
}

/* exec while other threads are inside, or go in. */
static int exec_inside(void)
{
	int i, status;

	for (i = 0; i < 20; i++) {
		pid_t pid = fork();

		if (!pid) {
			pthread_t threads[3];
			long k;

			build(&enclave, 4);
			for (k = 0; k < 3; k++)
				pthread_create(&threads[k], NULL, call_for_ever, (void *)k);
			usleep(random_number() % 20000);
			execl(self, self, "nothing", NULL);
			_exit(1);
		}
		waitpid(pid, &status, 0);
		if (status)
			die("exec");
	}
	return 0;
}

/* No descriptors left: opening fails as it should, and works afterwards. */
static int no_descriptors(void)
{
	struct rlimit old, few;
	int i, fds[512], n = 0, failed = 0;

	getrlimit(RLIMIT_NOFILE, &old);
	for (i = 3; i < 40; i++) {
		few = (struct rlimit){ i, old.rlim_max };
		setrlimit(RLIMIT_NOFILE, &few);
		for (n = 0; n < 512; n++) {
			fds[n] = open("/dev/sgx_enclave", O_RDWR);
			if (fds[n] < 0)
				break;
		}
		failed += errno == EMFILE;
		while (n > 0)
			close(fds[--n]);
	}
	setrlimit(RLIMIT_NOFILE, &old);
	must_work();
	if (failed != 37) {
		printf("EMFILE %d times\n", failed);
		return 1;
	}
	return 0;
}

/* No addresses left. */
static int no_addresses(void)
{
	struct rlimit old, few;
	uint64_t i;

	getrlimit(RLIMIT_AS, &old);
	build(&enclave, 1);
	for (i = 0; i < 40; i++) {
		few = (struct rlimit){ (1 + i) * 65536, old.rlim_max };
		setrlimit(RLIMIT_AS, &few);
		int fd = open("/dev/sgx_enclave", O_RDWR);

		mmap((void *)enclave.base, PAGE, PROT_READ, MAP_SHARED | MAP_FIXED, enclave.fd, 0);
		mmap(NULL, 1 << 20, PROT_READ, MAP_SHARED, fd, 0);
		ioctl(fd, SGX_IOC_ENCLAVE_CREATE, 8);
		call(&enclave, 0);
		close(fd);
	}
	setrlimit(RLIMIT_AS, &old);
	must_work();
	return 0;
}

/* Very many enclaves at once. */
static int many(void)
{
	struct sgx_secs *secs = aligned_alloc(4096, 4096);
	uint64_t create[1] = { (uint64_t)secs };
	struct rlimit limit;
	int i, made = 0, fds[4000];

	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	memset(secs, 0, sizeof(*secs));
	secs->size = 16 * PAGE;
	secs->base = 0x100000000000;
	secs->ssa_frame_pages = 1;
	secs->attributes = 4;
	secs->xfrm = 3;
	for (i = 0; i < 4000 && time(NULL) < end + 30; i++) {
		fds[i] = open("/dev/sgx_enclave", O_RDWR);
		if (fds[i] < 0)
			break;
		made += !ioctl(fds[i], SGX_IOC_ENCLAVE_CREATE, create);
	}
	while (i > 0)
		close(fds[--i]);
	if (made < 100)
		die("few enclaves");
	must_work();
	return 0;
}

/* Whoever is traced already cannot be traced by another. */
static int tracing(void)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		if (!ptrace(PTRACE_TRACEME, 0, 0, 0))
			_exit(1);
		if (!ptrace(PTRACE_ATTACH, getppid(), 0, 0))
			_exit(2);
		if (!ptrace(PTRACE_SEIZE, getppid(), 0, 0))
			_exit(3);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	if (status)
		die("ptrace");
	must_work();
	return 0;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		int (*run)(void);
	} attacks[] = {
		{ "innocent", innocent }, { "arguments", arguments },
		{ "descriptors", descriptors }, { "ranges", ranges },
		{ "image", image }, { "file", file }, { "helpers", helpers },
		{ "signals", signals }, { "storm", storm },
		{ "exec", exec_inside }, { "no-descriptors", no_descriptors },
		{ "no-addresses", no_addresses }, { "many", many },
		{ "tracing", tracing },
	};
	const char *what = argc > 1 ? argv[1] : "";
	unsigned int i;

	if (!strcmp(what, "nothing"))
		return 0;
	(void)!readlink("/proc/self/exe", self, sizeof(self) - 1);
	strcpy(path, enclave_beside_program("enclaves.enclave"));
	end = time(NULL) + (argc > 2 ? atoi(argv[2]) : 1);
	if (strcmp(what, "innocent"))
		fclose(stderr);	/* where the loader says what failed */
	for (i = 0; i < sizeof(attacks) / sizeof(attacks[0]); i++)
		if (!strcmp(what, attacks[i].name)) {
			int status = attacks[i].run();

			fflush(stdout);
			_exit(status);
		}
	return 2;
}
