// SPDX-License-Identifier: Apache-2.0
/*
 * An enclave whose heap may be larger than the EPC: sequential work, random
 * work and a hash table, from several threads, every word checked inside.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <getopt.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../lib/report_error.h"
#include "../lib/sample.h"
#include "ecalls.h"

#define PAGES_PER_MIB	256
#define MAX_MIB		65536
#define MAX_ROUNDS	1000000
#define BAR_WIDTH	30
#define NS_PER_S	1000000000
#define PROGRESS_NS	(NS_PER_S / 10)

struct settings {
	uint64_t mib;
	uint64_t threads;
	uint64_t rounds;
	uint64_t seed;
	bool debug;
	const char *enclave;
};

struct worker {
	pthread_t thread;
	struct enclave *enclave;
	struct bigheap_work work;
	enum bigheap_ecall pass;
	int failed;
};

static const char *const pass_names[BIGHEAP_PASSES] = {
	[BIGHEAP_FILL]   = "fill",
	[BIGHEAP_CHECK]  = "read in order",
	[BIGHEAP_RANDOM] = "random pages",
	[BIGHEAP_CLEAR]  = "clear",
	[BIGHEAP_INSERT] = "hash insert",
	[BIGHEAP_LOOKUP] = "hash look-up",
	[BIGHEAP_SWEEP]  = "hash sweep",
};

static bool shows_progress;

static void help(void)
{
	printf("usage: bigheap [--mib N] [--threads T] [--rounds R] [--seed S] [--debug] [ENCLAVE]\n"
	       "\n"
	       "Makes an enclave with a large heap and works on it from several threads: in order, in random order, and\n"
	       "as a hash table. Every word that is read is compared with what must be there. The heap may be larger\n"
	       "than the EPC: then its pages come and go all the time.\n"
	       "\n"
	       "  --mib N       size of the heap in MiB, 1 to %d (default 256)\n"
	       "  --threads T   threads in the enclave, 1 to %d, each by a TCS of its own (default 2)\n"
	       "  --rounds R    how often everything is done, 1 to %d (default 1)\n"
	       "  --seed S      another seed, other values and another order (default 1)\n"
	       "  --debug       make a debug enclave\n"
	       "  ENCLAVE       the enclave's file (default: bigheap.enclave beside the program)\n"
	       "\n"
	       "Examples:\n"
	       "  bigheap                          256 MiB, two threads\n"
	       "  bigheap --mib 64 --rounds 10\n"
	       "  bigheap --mib 1024 --threads 8   more than most EPCs hold\n"
	       "\n"
	       "Exit status: 0 if every word was right, 1 if not or if there is no SGX, 2 if the arguments are wrong.\n",
	       MAX_MIB, ENCLAVE_MAX_THREADS, MAX_ROUNDS);
}

static void wrong_argument(void)
{
	fprintf(stderr, "Try: bigheap --help\n");
	exit(2);
}

static uint64_t number(const char *option, const char *text, uint64_t least,
		       uint64_t most)
{
	unsigned long long value;
	char *end;

	errno = 0;
	value = strtoull(text, &end, 0);
	if (errno || *end || text[0] < '0' || text[0] > '9' || value < least ||
	    value > most) {
		report_error("--%s takes a number from %llu to %llu, not '%s'",
			     option, (unsigned long long)least,
			     (unsigned long long)most, text);
		wrong_argument();
	}
	return value;
}

static void read_arguments(int argc, char **argv, struct settings *s)
{
	static const struct option options[] = {
		{ "mib", required_argument, NULL, 'm' },
		{ "threads", required_argument, NULL, 't' },
		{ "rounds", required_argument, NULL, 'r' },
		{ "seed", required_argument, NULL, 's' },
		{ "debug", no_argument, NULL, 'd' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	int option;

	while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (option) {
		case 'm':
			s->mib = number("mib", optarg, 1, MAX_MIB);
			break;
		case 't':
			s->threads = number("threads", optarg, 1,
					    ENCLAVE_MAX_THREADS);
			break;
		case 'r':
			s->rounds = number("rounds", optarg, 1, MAX_ROUNDS);
			break;
		case 's':
			s->seed = number("seed", optarg, 0, ~0ull);
			break;
		case 'd':
			s->debug = true;
			break;
		case 'h':
			help();
			exit(0);
		default:
			wrong_argument();
		}
	}
	if (argc - optind > 1) {
		report_error("one enclave, not '%s' too", argv[optind + 1]);
		wrong_argument();
	}
	s->enclave = optind < argc ? argv[optind] :
		     enclave_beside_program("bigheap.enclave");
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec * 1e-9;
}

/* One line that is written over and over; only a terminal can do that. */
static void show_progress(const char *what, uint64_t done, uint64_t of)
{
	char bar[BAR_WIDTH + 1];

	if (!shows_progress)
		return;
	if (done > of)
		done = of;
	memset(bar, '.', BAR_WIDTH);
	memset(bar, '#', done * BAR_WIDTH / of);
	bar[BAR_WIDTH] = '\0';
	fprintf(stderr, "\r    %-14s [%s] %3llu %%", what, bar,
		(unsigned long long)(done * 100 / of));
	fflush(stderr);
}

static void end_progress(void)
{
	if (shows_progress)
		fprintf(stderr, "\r\033[K");
}

static void show_added(const struct enclave_region *region, uint64_t done)
{
	if (!region->measured)	/* the heap; the rest takes no time */
		show_progress("adding pages", done, region->size);
}

static void print_header(void)
{
	say("    %-14s %8s %10s %9s %12s", "phase", "MiB", "pages", "time",
	    "pages/s");
}

static void print_line(const char *name, uint64_t pages, double seconds,
		       const char *verdict)
{
	end_progress();
	say("    %-14s %8.1f %10llu %7.3f s %12.0f   %s", name,
	    (double)pages / PAGES_PER_MIB, (unsigned long long)pages, seconds,
	    pages / (seconds > 0 ? seconds : 1e-9), verdict);
}

static void *run_worker(void *argument)
{
	struct worker *w = argument;
	uint64_t result = 0;

	w->failed = enclave_ecall(w->enclave, w->work.thread, w->pass,
				  &w->work, &result) || result;
	return NULL;
}

static void start_workers(struct enclave *e, const struct settings *s,
			  struct worker *workers, uint64_t round,
			  enum bigheap_ecall pass)
{
	unsigned int i;

	for (i = 0; i < s->threads; i++) {
		workers[i] = (struct worker){
			.enclave = e, .pass = pass,
			.work = {
				.thread = i, .threads = s->threads,
				.round = round, .seed = s->seed,
			},
		};
		errno = pthread_create(&workers[i].thread, NULL, run_worker,
				       &workers[i]);
		if (errno) {
			report_errno("cannot start a thread");
			exit(1);
		}
	}
}

/* Pages that a pass touches, as the enclave counts them. */
static uint64_t pages_of_pass(const struct settings *s, enum bigheap_ecall pass)
{
	uint64_t pages = s->mib * PAGES_PER_MIB;
	uint64_t keys = pages * BIGHEAP_KEYS_PER_PAGE;

	if (pass == BIGHEAP_RANDOM)
		return pages * s->threads;
	if (pass == BIGHEAP_INSERT)
		return keys;
	if (pass == BIGHEAP_LOOKUP)
		return keys + (keys + BIGHEAP_HITS_PER_MISS - 1) /
			      BIGHEAP_HITS_PER_MISS;
	return pages;
}

static uint64_t pages_done(const struct settings *s,
			   const struct worker *workers)
{
	uint64_t pages = 0;
	unsigned int i;

	for (i = 0; i < s->threads; i++)
		pages += *(const volatile uint64_t *)&workers[i].work.pages;
	return pages;
}

/* Waits for a thread, and shows how far all of them are meanwhile. */
static void join_worker(const struct settings *s, const struct worker *workers,
			unsigned int i, enum bigheap_ecall pass)
{
	struct timespec until;

	do {
		show_progress(pass_names[pass], pages_done(s, workers),
			      pages_of_pass(s, pass));
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_nsec += PROGRESS_NS;
		until.tv_sec += until.tv_nsec / NS_PER_S;
		until.tv_nsec %= NS_PER_S;
	} while (shows_progress ?
		 pthread_timedjoin_np(workers[i].thread, NULL, &until) :
		 pthread_join(workers[i].thread, NULL));
}

static void report_wrong(const struct enclave *e, const struct worker *w)
{
	if (w->failed)
		report_error("thread %llu did not end the pass",
			     (unsigned long long)w->work.thread);
	else if (w->work.errors)
		report_error("thread %llu found %llu wrong words, first at 0x%llx (page %llu of the heap): 0x%016llx instead of 0x%016llx",
			     (unsigned long long)w->work.thread,
			     (unsigned long long)w->work.errors,
			     (unsigned long long)w->work.address,
			     (unsigned long long)((w->work.address - e->base -
				e->config.heap_offset) / SGX_PAGE_SIZE),
			     (unsigned long long)w->work.found,
			     (unsigned long long)w->work.expected);
}

/* One pass by all threads, and its line. */
static bool make_pass(struct enclave *e, const struct settings *s,
		      uint64_t round, enum bigheap_ecall pass)
{
	struct worker workers[ENCLAVE_MAX_THREADS];
	uint64_t entries = 0, expected = pages_of_pass(s, pass);
	double start = now();
	bool ok = true;
	unsigned int i;

	start_workers(e, s, workers, round, pass);
	for (i = 0; i < s->threads; i++) {
		join_worker(s, workers, i, pass);
		entries += workers[i].work.entries;
		ok = ok && !workers[i].failed && !workers[i].work.errors;
	}
	start = now() - start;
	ok = ok && pages_done(s, workers) == expected;
	if (pass == BIGHEAP_SWEEP)	/* none lost, none twice */
		ok = ok && entries == pages_of_pass(s, BIGHEAP_INSERT);
	print_line(pass_names[pass], pages_done(s, workers), start,
		   ok ? "ok" : "WRONG");
	for (i = 0; i < s->threads; i++)
		report_wrong(e, &workers[i]);
	if (pass == BIGHEAP_SWEEP && entries != pages_of_pass(s, BIGHEAP_INSERT))
		report_error("the hash table holds %llu entries instead of %llu",
			     (unsigned long long)entries,
			     (unsigned long long)pages_of_pass(s, BIGHEAP_INSERT));
	return ok;
}

static bool work(struct enclave *e, const struct settings *s)
{
	uint64_t round;
	enum bigheap_ecall pass;
	bool ok = true;

	for (round = 0; round < s->rounds && ok; round++) {
		if (s->rounds > 1)
			say("    round %llu of %llu",
			    (unsigned long long)(round + 1),
			    (unsigned long long)s->rounds);
		for (pass = 0; pass < BIGHEAP_PASSES && ok; pass++)
			ok = make_pass(e, s, round, pass);
	}
	return ok;
}

int main(int argc, char **argv)
{
	struct settings s = { .mib = 256, .threads = 2, .rounds = 1, .seed = 1 };
	struct enclave_options options = { .added = show_added };
	struct enclave enclave;
	bool ok = false;
	double start;

	read_arguments(argc, argv, &s);
	shows_progress = isatty(STDERR_FILENO);
	options.debug = s.debug;
	options.threads = s.threads;
	options.heap_pages = s.mib * PAGES_PER_MIB;

	say("bigheap: a heap of %llu MiB (%llu pages), %llu thread%s, seed %llu",
	    (unsigned long long)s.mib,
	    (unsigned long long)s.mib * PAGES_PER_MIB,
	    (unsigned long long)s.threads, s.threads == 1 ? "" : "s",
	    (unsigned long long)s.seed);
	start = now();
	if (enclave_build(&enclave, s.enclave, &options)) {
		end_progress();
		enclave_destroy(&enclave);
		return 1;
	}
	start = now() - start;
	end_progress();
	say("    the EPC has %.1f MiB", enclave.cpu.epc_bytes / 1048576.0);
	print_header();
	print_line("add pages", s.mib * PAGES_PER_MIB, start, "ok");
	ok = work(&enclave, &s);
	say(ok ? "bigheap: ok" : "bigheap: FAILED");
	enclave_destroy(&enclave);
	return !ok;
}
