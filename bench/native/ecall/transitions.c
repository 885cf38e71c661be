// SPDX-License-Identifier: Apache-2.0
/*
 * transitions			an empty ECALL through the vDSO and by an ENCLU of
 *				our own, and a system call, each in nanoseconds
 * transitions signals COUNT	a computation inside an enclave, interrupted COUNT
 *				times a second
 * transitions outside COUNT	the same outside, without any enclave
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "../../../samples/lib/loader.h"
#include "compute.h"

#define CALLS		200000
#define REPETITIONS	7
#define ROUNDS		300000000ull

uint64_t direct_ecall(uint64_t tcs, uint64_t number);

static struct enclave e;
static uint64_t table[BENCH_TABLE];
static volatile unsigned long signals;

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

static void by_vdso(void)
{
	static struct sgx_enclave_run run;
	struct sgx_registers registers = { .rdi = BENCH_NOTHING };

	must(enclave_enter(&e, 0, SGX_EENTER, &registers, &run));
}

static void directly(void)
{
	direct_ecall(e.tcs[0], BENCH_NOTHING);
}

static void call(void)
{
	syscall(SYS_getppid);
}

static double best(void (*what)(void))
{
	double least = 1e9;

	for (int r = 0; r < REPETITIONS; r++) {
		double start = now();

		for (int i = 0; i < CALLS; i++)
			what();
		start = (now() - start) / CALLS;
		least = start < least ? start : least;
	}
	return least * 1e9;
}

static void on_signal(int number)
{
	(void)number;
	signals++;
}

static void build(void)
{
	struct enclave_options options = { 0 };

	enclave_zero(&e);
	must(enclave_build(&e, enclave_beside_program("ecall.enclave"), &options));
}

static void interrupted(int inside, unsigned long per_second)
{
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
	struct sigevent event = {
		.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1,
	};
	struct itimerspec every = { .it_interval.tv_nsec = 1000000000 / per_second };
	uint64_t result;
	timer_t timer;
	double t;

	if (inside) {
		build();
		must(enclave_ecall(&e, 0, BENCH_COMPUTE, (void *)1000, &result));
	}
	sigaction(SIGUSR1, &action, NULL);
	must(timer_create(CLOCK_MONOTONIC, &event, &timer));
	every.it_value = every.it_interval;
	must(timer_settime(timer, 0, &every, NULL));
	t = now();
	if (inside)
		must(enclave_ecall(&e, 0, BENCH_COMPUTE, (void *)ROUNDS, &result));
	else
		result = bench_compute(table, ROUNDS);
	t = now() - t;
	printf("rounds %.0f per-second\nsignals %.0f per-second\n", ROUNDS / t, signals / t);
	must(result == 0);
}

int main(int argc, char **argv)
{
	if (argc > 2) {
		interrupted(!strcmp(argv[1], "signals"), strtoul(argv[2], NULL, 10));
		return 0;
	}
	build();
	printf("call %.1f ns\n", best(call));
	printf("vdso %.1f ns\n", best(by_vdso));
	printf("direct %.1f ns\n", best(directly));
	enclave_destroy(&e);
	return 0;
}
