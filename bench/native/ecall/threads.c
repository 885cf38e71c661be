// SPDX-License-Identifier: Apache-2.0
/*
 * threads COUNT [PROCESSES]: so many threads of so many processes make empty
 * ECALLs for a second, each through its own TCS, each process with its own
 * enclave. Prints "rate value per-second", of all together.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../../../samples/lib/loader.h"
#include "compute.h"

struct worker {
	pthread_t thread;
	struct enclave *enclave;
	unsigned int index;
	unsigned long calls;
};

static volatile int stop;

static pthread_barrier_t start_line, *processes_line;

static void must(int failed)
{
	if (failed)
		exit(1);
}

static void *work(void *argument)
{
	struct worker *w = argument;
	struct sgx_registers registers;
	struct sgx_enclave_run run = { 0 };

	pthread_barrier_wait(&start_line);
	for (; !stop; w->calls++) {
		memset(&registers, 0, sizeof(registers));
		registers.rdi = BENCH_NOTHING;
		must(enclave_enter(w->enclave, w->index, SGX_EENTER, &registers, &run));
	}
	return NULL;
}

static double measure(unsigned int count)
{
	struct enclave_options options = { .threads = count };
	struct worker workers[256] = { 0 };
	struct timespec from, to;
	unsigned long calls = 0;
	struct enclave e;

	enclave_zero(&e);
	must(enclave_build(&e, enclave_beside_program("ecall.enclave"), &options));
	pthread_barrier_init(&start_line, NULL, count + 1);
	for (unsigned int i = 0; i < count; i++) {
		workers[i].enclave = &e;
		workers[i].index = i;
		must(pthread_create(&workers[i].thread, NULL, work, &workers[i]));
	}
	pthread_barrier_wait(processes_line);
	pthread_barrier_wait(&start_line);
	clock_gettime(CLOCK_MONOTONIC, &from);
	sleep(1);
	stop = 1;
	clock_gettime(CLOCK_MONOTONIC, &to);
	for (unsigned int i = 0; i < count; i++) {
		pthread_join(workers[i].thread, NULL);
		calls += workers[i].calls;
	}
	enclave_destroy(&e);
	return calls / (to.tv_sec - from.tv_sec + (to.tv_nsec - from.tv_nsec) * 1e-9);
}

int main(int argc, char **argv)
{
	unsigned int count = argc > 1 ? strtoul(argv[1], NULL, 10) : 1;
	unsigned int processes = argc > 2 ? strtoul(argv[2], NULL, 10) : 1;
	struct {
		pthread_barrier_t line;
		double rates[256];
	} *shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pthread_barrierattr_t between;
	double rate = 0;
	int status;

	must(count < 1 || count > 256 || processes < 1 || processes > 256);
	must(shared == MAP_FAILED);
	pthread_barrierattr_init(&between);
	pthread_barrierattr_setpshared(&between, PTHREAD_PROCESS_SHARED);
	pthread_barrier_init(&shared->line, &between, processes);
	processes_line = &shared->line;
	for (unsigned int i = 1; i < processes; i++)
		if (!fork()) {
			shared->rates[i] = measure(count);
			return 0;
		}
	shared->rates[0] = measure(count);
	for (unsigned int i = 1; i < processes; i++)
		must(wait(&status) < 0 || status);
	for (unsigned int i = 0; i < processes; i++)
		rate += shared->rates[i];
	printf("rate %.0f per-second\n", rate);
	return 0;
}
