// SPDX-License-Identifier: Apache-2.0
/*
 * Measures what any program does, with and without softsgx: a system call that
 * is of no interest to softsgx, and processes that are forked and execute
 * another program. Prints "name value unit".
 *
 *   calls [device]	"device": opens the enclave device first
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CALLS		2000000
#define REPETITIONS	5
#define PROCESSES	1000

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec * 1e-9;
}

static double best_call(void)
{
	double best = 1e9;

	for (int r = 0; r < REPETITIONS; r++) {
		double start = now();

		for (int i = 0; i < CALLS; i++)
			syscall(SYS_getppid);
		start = (now() - start) / CALLS;
		best = start < best ? start : best;
	}
	return best;
}

static double processes(void)
{
	double start = now();

	for (int i = 0; i < PROCESSES; i++) {
		int status;
		pid_t child = fork();

		if (child == 0) {
			execl("/bin/true", "true", (char *)NULL);
			_exit(127);
		}
		if (child < 0 || waitpid(child, &status, 0) != child || status != 0)
			exit(1);
	}
	return now() - start;
}

int main(int argc, char **argv)
{
	(void)argv;
	if (argc > 1 && open("/dev/sgx_enclave", O_RDWR) < 0)
		return 1;
	printf("call %.2f ns\n", best_call() * 1e9);
	printf("processes %.3f s\n", processes());
	return 0;
}
