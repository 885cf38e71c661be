// SPDX-License-Identifier: Apache-2.0
/*
 * Measures, under softsgx, an empty ECALL through the vDSO and a computation
 * inside an enclave against the same one outside. Prints "name value unit".
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../../../samples/lib/loader.h"
#include "compute.h"

#define ECALLS		20000
#define ROUNDS		20000000ull
#define REPETITIONS	5

static uint64_t table[BENCH_TABLE];

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

static double best_ecall(struct enclave *e)
{
	struct sgx_registers registers;
	struct sgx_enclave_run run;
	double best = 1e9;
	int i, r;

	for (r = 0; r < REPETITIONS; r++) {
		double start = now();

		for (i = 0; i < ECALLS; i++) {
			memset(&registers, 0, sizeof(registers));
			registers.rdi = BENCH_NOTHING;
			must(enclave_enter(e, 0, SGX_EENTER, &registers, &run));
		}
		start = (now() - start) / ECALLS;
		if (start < best)
			best = start;
	}
	return best;
}

/* What the supervisor, our parent, holds in memory of its own: not the EPC, which is shared memory. */
static void print_supervisor_memory(void)
{
	char path[64], line[256];
	long anonymous = 0, file = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", getppid());
	f = fopen(path, "r");
	while (f && fgets(line, sizeof(line), f)) {
		sscanf(line, "RssAnon: %ld", &anonymous);
		sscanf(line, "RssFile: %ld", &file);
	}
	if (f)
		fclose(f);
	printf("supervisor %.1f MiB\n", (anonymous + file) / 1024.0);
}

int main(void)
{
	double inside = 1e9, outside = 1e9, t;
	uint64_t result, expected = 0;
	struct enclave_options options = { 0 };
	struct enclave e;
	int r;

	enclave_zero(&e);
	must(enclave_build(&e, enclave_beside_program("ecall.enclave"), &options));
	for (r = 0; r < REPETITIONS; r++) {
		t = now();
		must(enclave_ecall(&e, 0, BENCH_COMPUTE, (void *)ROUNDS, &result));
		t = now() - t;
		inside = t < inside ? t : inside;
		t = now();
		expected = bench_compute(table, ROUNDS);
		t = now() - t;
		outside = t < outside ? t : outside;
		must(result != expected);
	}
	printf("compute_inside %.3f ms\ncompute_outside %.3f ms\n", inside * 1e3, outside * 1e3);
	printf("ecall %.3f us\n", best_ecall(&e) * 1e6);
	print_supervisor_memory();
	enclave_destroy(&e);
	return 0;
}
