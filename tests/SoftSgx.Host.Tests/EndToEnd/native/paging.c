// SPDX-License-Identifier: Apache-2.0
/* Enclaves that are larger than the EPC; each subcommand is a test. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../../../../samples/lib/loader.h"
#include "paging.h"

#define MAX_THREADS 15

static char path[4096];
static struct enclave enclave;
static uint64_t heap;

static void die(const char *what)
{
	printf("%s: %s\n", what, strerror(errno));
	exit(1);
}

static void build(unsigned int pages)
{
	struct enclave_options options = { .heap_pages = pages };

	if (enclave_build(&enclave, path, &options) ||
	    enclave_ecall(&enclave, 0, CALL_HEAP, NULL, &heap))
		die("building the enclave");
}

static void work(unsigned int thread, struct work w)
{
	uint64_t result;

	if (enclave_ecall(&enclave, thread, CALL_WORK, &w, &result))
		die("ECALL");
	if (w.wrong) {
		printf("%lu words are wrong (round %lu)\n", w.wrong, w.round);
		exit(2);
	}
}

static void walk(unsigned int thread, uint64_t first, uint64_t pages,
		 uint64_t rounds)
{
	/* A step that is prime meets every page; 1 is in order. */
	static const uint64_t steps[] = { 1, 7919, 104729 };
	uint64_t i;

	for (i = 0; i <= rounds; i++)
		work(thread, (struct work){
			.first = first, .pages = pages, .round = i,
			.next = i == rounds ? 0 : i + 1, .step = steps[i % 3],
			.words = 512,
		});
}

struct share {
	pthread_t id;
	unsigned int thread;
	uint64_t first, pages, rounds;
};

static void *walk_share(void *argument)
{
	struct share *s = argument;

	walk(s->thread, s->first, s->pages, s->rounds);
	return NULL;
}

/* Threads that share the enclave, each with pages of its own. */
static void walk_together(unsigned int threads, uint64_t pages, uint64_t rounds)
{
	struct share shares[MAX_THREADS];
	unsigned int i;

	for (i = 0; i < threads; i++) {
		shares[i] = (struct share){
			.thread = i, .first = i * (pages / threads),
			.pages = pages / threads, .rounds = rounds,
		};
		if (pthread_create(&shares[i].id, NULL, walk_share, &shares[i]))
			die("pthread_create");
	}
	for (i = 0; i < threads; i++)
		pthread_join(shares[i].id, NULL);
}

/* Parent and child in the same enclave at once, by halves. */
static int with_child(uint64_t pages, uint64_t rounds)
{
	uint64_t half = pages / 2;
	int status;
	pid_t child = fork();

	if (child < 0)
		die("fork");
	walk(child ? 0 : 1, child ? 0 : half, half, rounds);
	if (!child)
		_exit(0);
	if (waitpid(child, &status, 0) != child || status)
		die("the child");
	/* What the child wrote last is what the parent finds. */
	work(0, (struct work){ .first = half, .pages = half, .round = rounds,
			       .step = 1, .words = 512 });
	printf("no children left: %d\n", wait(&status) < 0 && errno == ECHILD);
	return 0;
}

/* Ordinary code outside reads and writes the pages too: it is no real EPC. */
static int from_outside(uint64_t pages)
{
	struct work w = { .pages = pages, .next = 1, .step = 1, .words = 512 };

	do_work((uint64_t *)heap, &w);
	work(0, (struct work){ .pages = pages, .round = 1, .next = 2,
			       .step = 7919, .words = 512 });
	w.round = 2;
	w.next = 0;
	do_work((uint64_t *)heap, &w);
	printf("wrong: %lu\n", w.wrong);
	return 0;
}

static volatile sig_atomic_t nr_faults;
static volatile int last_signal, last_code;
static void *volatile last_address;
static uint8_t *landing;

/* Maps ordinary memory where the enclave has a hole, so that it can go on. */
static void on_bus(int signal, siginfo_t *info, void *context)
{
	(void)signal;
	(void)context;
	last_signal = info->si_signo;
	last_code = info->si_code;
	last_address = info->si_addr;
	nr_faults++;
	landing = (uint8_t *)((uint64_t)info->si_addr & ~4095ull);
	if (mmap(landing, 4096, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != landing)
		_exit(3);
}

static void expect_fault(volatile uint8_t *p, int write)
{
	sig_atomic_t before = nr_faults;

	if (write)
		*p = 1;
	else
		(void)*p;
	printf("%s: faults %d, signal %d, code %d, address %s\n",
	       write ? "write" : "read", (int)(nr_faults - before),
	       last_signal, last_code,
	       last_address == p ? "right" : "wrong");
}

/* Whoever may, changes what was swapped out while we wait for a line of input. */
static int tampered(uint64_t pages)
{
	struct sigaction action = { .sa_sigaction = on_bus,
				    .sa_flags = SA_SIGINFO };
	uint64_t *before = calloc(pages, sizeof(*before));
	unsigned int refused = 0, wrong = 0;
	char line[16];

	walk(0, 0, pages, 1);
	for (uint64_t i = 0; i < pages; i++)
		before[i] = *(volatile uint64_t *)(heap + i * 4096);
	printf("ready\n");
	fflush(stdout);
	if (!fgets(line, sizeof(line), stdin))
		die("waiting");
	sigaction(SIGBUS, &action, NULL);
	for (uint64_t i = 0; i < pages; i++) {
		sig_atomic_t faults = nr_faults;
		uint64_t now = *(volatile uint64_t *)(heap + i * 4096);

		if (nr_faults != faults)
			refused++;
		else if (now != before[i])
			wrong++;
	}
	printf("refused: %s, wrong: %u\n", refused > 0 ? "some" : "none", wrong);
	return 0;
}

/* Pages that were never added, behind the heap. */
static int absent(uint64_t pages)
{
	struct sigaction action = { .sa_sigaction = on_bus,
				    .sa_flags = SA_SIGINFO };
	uint8_t *end = (uint8_t *)heap + pages * 4096;
	uint64_t left = enclave.base + enclave.size - (uint64_t)end;
	int status;
	pid_t child;

	if (left < 4 * 4096 ||
	    mmap(end, 4 * 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
		 enclave.fd, 0) != end)
		die("mapping what is absent");
	sigaction(SIGBUS, &action, NULL);
	walk(0, 0, pages, 1);
	expect_fault(end + 123, 0);
	expect_fault(end + 4096 + 4095, 1);
	walk(0, 0, pages, 1);

	/* A blocked fault signal kills, whatever its handler. */
	fflush(stdout);
	child = fork();
	if (!child) {
		sigset_t all;

		sigfillset(&all);
		sigprocmask(SIG_BLOCK, &all, NULL);
		*(volatile uint8_t *)(end + 2 * 4096) = 1;
		_exit(0);
	}
	waitpid(child, &status, 0);
	printf("blocked: signal %d\n", WIFSIGNALED(status) ? WTERMSIG(status) : 0);
	return 0;
}

/* A field of /proc/ID/status. */
static long status_field(const char *id, const char *field, char *text)
{
	char name[64], line[256];
	long value = -1;
	FILE *file;

	snprintf(name, sizeof(name), "/proc/%.20s/status", id);
	file = fopen(name, "r");
	while (file && fgets(line, sizeof(line), file))
		if (!strncmp(line, field, strlen(field))) {
			value = atol(line + strlen(field));
			if (text)
				sscanf(line + strlen(field), "%63s", text);
		}
	if (file)
		fclose(file);
	return value;
}

static unsigned int count_entries(const char *id, const char *folder)
{
	char name[64];
	unsigned int n = 0;
	DIR *dir;

	snprintf(name, sizeof(name), "/proc/%.20s/%s", id, folder);
	dir = opendir(name);
	while (dir && readdir(dir))
		n++;
	if (dir)
		closedir(dir);
	return n > 2 ? n - 2 : 0;
}

/* The processes that age pages: how many there are, and what they hold. */
static pid_t supervisor;

static unsigned int count_ageing(unsigned int *descriptors)
{
	struct dirent *entry;
	unsigned int n = 0;
	DIR *proc = opendir("/proc");

	*descriptors = 0;
	while (proc && (entry = readdir(proc))) {
		char name[64] = "";

		if (entry->d_name[0] < '1' || entry->d_name[0] > '9')
			continue;
		if (status_field(entry->d_name, "PPid:", NULL) != supervisor)
			continue;
		status_field(entry->d_name, "Name:", name);
		if (strcmp(name, "softsgx-paging"))
			continue;
		n++;
		*descriptors += count_entries(entry->d_name, "fd");
	}
	if (proc)
		closedir(proc);
	return n;
}

/* Sends a signal to each of them. */
static void signal_ageing(int signal)
{
	struct dirent *entry;
	DIR *proc = opendir("/proc");

	while (proc && (entry = readdir(proc))) {
		char name[64] = "";

		if (entry->d_name[0] < '1' || entry->d_name[0] > '9' ||
		    status_field(entry->d_name, "PPid:", NULL) != supervisor)
			continue;
		status_field(entry->d_name, "Name:", name);
		if (!strcmp(name, "softsgx-paging"))
			kill(atoi(entry->d_name), signal);
	}
	if (proc)
		closedir(proc);
}

/* Takes the page away by which they are told what to do. */
static void unmap_ageing(void)
{
	char line[512];
	uint64_t from, to;
	FILE *maps = fopen("/proc/self/maps", "r");

	while (maps && fgets(line, sizeof(line), maps))
		if (strstr(line, "softsgx-paging") &&
		    sscanf(line, "%lx-%lx", &from, &to) == 2 &&
		    munmap((void *)from, to - from))
			die("munmap");
	if (maps)
		fclose(maps);
}

/* A program that harms the means of paging harms its own ages at most. */
static int mistreat(const char *how, uint64_t pages)
{
	struct sigaction action = { .sa_sigaction = on_bus,
				    .sa_flags = SA_SIGINFO };

	build(pages);
	walk(0, 0, pages, 2);
	if (!strcmp(how, "kill"))
		signal_ageing(SIGKILL);
	else if (!strcmp(how, "stop"))
		signal_ageing(SIGSTOP);
	else if (!strcmp(how, "term"))
		signal_ageing(SIGTERM);
	else if (!strcmp(how, "unmap"))
		unmap_ageing();
	else if (!strcmp(how, "lock") && mlockall(MCL_CURRENT | MCL_FUTURE))
		die("mlockall");
	else if (!strcmp(how, "descriptors") && close_range(3, ~0u, 0))
		die("close_range");
	else if (!strcmp(how, "advise") &&
		 madvise((void *)heap, pages * 4096, MADV_DONTNEED))
		die("madvise");
	walk(0, 0, pages, 3);
	printf("every word is right\n");
	if (!strcmp(how, "hole")) {
		/* Its own pages, lost for good: SIGBUS, not waiting for ever. */
		sigaction(SIGBUS, &action, NULL);
		if (madvise((void *)heap, pages * 4096, MADV_REMOVE))
			die("madvise");
		(void)*(volatile uint8_t *)(heap + (pages - 1) * 4096);
		printf("lost: faults %d\n", (int)nr_faults);
	}
	return 0;
}

/*
 * Threads read pages that were taken out of the file. Each is SIGBUS there and
 * nowhere else, unless it was or has been swapped out, and comes back.
 */
static _Thread_local volatile uint64_t lost_at;
static unsigned int lost;

static void on_lost(int signal, siginfo_t *info, void *context)
{
	(void)signal;
	(void)context;
	if ((uint64_t)info->si_addr != lost_at || info->si_code != BUS_ADRERR)
		_exit(4);
	__atomic_fetch_add(&lost, 1, __ATOMIC_RELAXED);
	if (mmap((void *)(lost_at & ~4095ull), 4096, PROT_READ,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
		_exit(3);
}

static void *read_lost(void *argument)
{
	struct share *s = argument;
	uint64_t i;

	for (i = s->first; i < s->first + s->pages; i++) {
		lost_at = heap + i * 4096 + i % 4096;
		(void)*(volatile uint8_t *)lost_at;
	}
	return NULL;
}

static int lose(unsigned int threads, uint64_t pages)
{
	struct sigaction action = { .sa_sigaction = on_lost,
				    .sa_flags = SA_SIGINFO };
	struct share shares[MAX_THREADS];
	unsigned int i;

	sigaction(SIGBUS, &action, NULL);
	walk(0, 0, pages, 2);
	if (madvise((void *)heap, pages * 4096, MADV_REMOVE))
		die("madvise");
	for (i = 0; i < threads; i++) {
		shares[i] = (struct share){ .first = i * (pages / threads),
					    .pages = pages / threads };
		if (pthread_create(&shares[i].id, NULL, read_lost, &shares[i]))
			die("pthread_create");
	}
	for (i = 0; i < threads; i++)
		pthread_join(shares[i].id, NULL);
	printf("lost: %s\n", lost ? "some" : "none");
	return 0;
}

static void show_ageing(const char *when)
{
	unsigned int descriptors, n = count_ageing(&descriptors);

	printf("%s: %u, descriptors %u\n", when, n, descriptors);
}

static int helper(uint64_t pages)
{
	int status;
	pid_t child;

	show_ageing("before");
	build(pages);
	walk(0, 0, pages, 2);
	show_ageing("with an enclave");
	child = waitpid(-1, &status, 0);
	printf("wait: %d %d\n", child, errno == ECHILD);
	child = waitpid(-1, &status, __WALL);
	printf("wait for all: %d %d\n", child, errno == ECHILD);
	printf("threads %u\n", count_entries("self", "task"));
	fflush(stdout);
	child = fork();
	if (!child) {
		show_ageing("with a child");
		fflush(stdout);
		_exit(0);
	}
	waitpid(child, &status, 0);
	usleep(20000);
	show_ageing("after the child");
	fflush(stdout);
	execl("/proc/self/exe", path, "none", NULL);
	return 1;
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec * 1e-9;
}

/* What a page in and a page out cost together. */
static int measure(uint64_t pages, uint64_t rounds, uint64_t step)
{
	uint64_t i;
	double start;

	walk(0, 0, pages, 1);
	start = now();
	for (i = 1; i <= rounds; i++)
		work(0, (struct work){ .pages = pages, .round = i,
				       .next = i + 1, .step = step, .words = 1 });
	start = (now() - start) / (rounds * pages);
	printf("%.1f us a page, %.0f pages a second\n", start * 1e6, 1 / start);
	return 0;
}

/* For those who kill it, by the id that it tells: goes on and on. */
static void for_ever(uint64_t pages)
{
	pid_t parent = getpid();

	printf("%d\n", parent);
	fflush(stdout);
	if (!fork()) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(0);	/* killed already */
		for (;;)
			walk_together(2, pages, 2);
	}
	for (;;)
		walk_together(3, pages, 2);
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	uint64_t pages = argc > 2 ? strtoul(argv[2], NULL, 0) : 2048;
	uint64_t n = argc > 3 ? strtoul(argv[3], NULL, 0) : 3;
	uint64_t m = argc > 4 ? strtoul(argv[4], NULL, 0) : 1;

	supervisor = getppid();
	snprintf(path, sizeof(path), "%s", enclave_beside_program("paging.enclave"));
	if (!strcmp(what, "none")) {
		show_ageing("after exec");
		return 0;
	}
	if (!strcmp(what, "helper"))
		return helper(pages);
	if (!strcmp(what, "mistreat") && argc > 2)
		return mistreat(argv[2], 1000);
	build(pages);
	if (!strcmp(what, "walk")) {
		walk(0, 0, pages, n);
		printf("every word is right\n");
		return 0;
	}
	if (!strcmp(what, "lose"))
		return lose(n, pages);
	if (!strcmp(what, "threads")) {
		walk_together(m, pages, n);
		printf("every word is right\n");
		return 0;
	}
	if (!strcmp(what, "fork"))
		return with_child(pages, n);
	if (!strcmp(what, "outside"))
		return from_outside(pages);
	if (!strcmp(what, "tampered"))
		return tampered(pages);
	if (!strcmp(what, "absent"))
		return absent(pages);
	if (!strcmp(what, "measure"))
		return measure(pages, n, m);
	if (!strcmp(what, "for-ever"))
		for_ever(pages);
	printf("usage: paging WHAT [PAGES [N [M]]]\n");
	return 1;
}
