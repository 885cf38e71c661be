// SPDX-License-Identifier: Apache-2.0
/*
 * paging MIB THREADS CYCLES: an enclave with so much heap; each thread goes
 * through its share of it, page after page, so often. Prints "name value unit".
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "../../../samples/lib/loader.h"
#include "ecalls.h"

#define PAGES_PER_MIB	256

struct worker {
	pthread_t thread;
	struct enclave *enclave;
	unsigned int index;
	struct paging_touch touch;
	uint64_t failed;
};

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec * 1e-9;
}

static void must(int failed)
{
	if (failed)
		exit(1);
}

static void *run_worker(void *argument)
{
	struct worker *w = argument;
	uint64_t result = 1;

	w->failed = enclave_ecall(w->enclave, w->index, PAGING_TOUCH, &w->touch, &result) ||
		    result || w->touch.wrong;
	return NULL;
}

int main(int argc, char **argv)
{
	struct worker workers[ENCLAVE_MAX_THREADS];
	struct enclave_options options = { 0 };
	struct enclave e;
	unsigned int i;
	uint64_t cycles, share;
	double seconds;

	if (argc != 4) {
		fprintf(stderr, "usage: paging MIB THREADS CYCLES\n");
		return 1;
	}
	options.heap_pages = strtoul(argv[1], NULL, 10) * PAGES_PER_MIB;
	options.threads = strtoul(argv[2], NULL, 10);
	cycles = strtoul(argv[3], NULL, 10);
	enclave_zero(&e);
	must(enclave_build(&e, enclave_beside_program("paging.enclave"), &options));

	share = options.heap_pages / e.threads;
	seconds = now();
	for (i = 0; i < e.threads; i++) {
		workers[i] = (struct worker){
			.enclave = &e, .index = i,
			.touch = { .first = i * share, .pages = share, .cycles = cycles },
		};
		must(pthread_create(&workers[i].thread, NULL, run_worker, &workers[i]));
	}
	for (i = 0; i < e.threads; i++) {
		pthread_join(workers[i].thread, NULL);
		must(workers[i].failed);
	}
	seconds = now() - seconds;
	printf("touched %llu pages\n", (unsigned long long)(share * e.threads * cycles));
	printf("seconds %.6f s\n", seconds);
	enclave_destroy(&e);
	return 0;
}
