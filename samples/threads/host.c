// SPDX-License-Identifier: Apache-2.0
/*
 * Threads in an enclave. An enclave has as many as it has TCS pages; a thread
 * of the host's enters by one of them, and until it leaves nobody else can.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>

#include "../lib/report_error.h"
#include "../lib/sample.h"
#include "ecalls.h"

#define ROUNDS 100000

struct worker {
	pthread_t thread;
	struct enclave *enclave;
	unsigned int index;
	enum threads_ecall ecall;
	void *argument;
	uint64_t result;
	int failed;
};

static void *run_worker(void *argument)
{
	struct worker *w = argument;

	w->failed = enclave_ecall(w->enclave, w->index, w->ecall, w->argument,
				  &w->result);
	return NULL;
}

static bool start(struct worker *w)
{
	w->failed = -1;
	errno = pthread_create(&w->thread, NULL, run_worker, w);
	if (errno)
		report_errno("cannot start a thread");
	return errno == 0;
}

static uint64_t expected(uint64_t seed)
{
	int i;

	for (i = 0; i < ROUNDS; i++)
		seed = threads_stir(seed);
	return seed;
}

static void check_worker(const struct worker *w, const struct threads_work *work)
{
	check(!w->failed && w->result == 0 && work->met == work->threads &&
	      work->value == expected(work->seed),
	      "thread %u met %llu inside and computed 0x%016llx", w->index,
	      (unsigned long long)work->met, (unsigned long long)work->value);
}

static void work_together(struct enclave *e)
{
	struct threads_work work[ENCLAVE_MAX_THREADS];
	struct worker workers[ENCLAVE_MAX_THREADS];
	unsigned int i, n = e->threads;
	uint64_t total;

	say("1. %u threads enter by %u TCSs and wait for each other inside", n, n);
	for (i = 0; i < n; i++) {
		work[i] = (struct threads_work){
			.threads = n, .rounds = ROUNDS, .seed = i + 1,
		};
		workers[i] = (struct worker){
			.enclave = e, .index = i, .argument = &work[i],
			.ecall = THREADS_WORK,
		};
		if (!start(&workers[i]))
			_Exit(1);	/* the others would wait for ever */
	}
	for (i = 0; i < n; i++) {
		pthread_join(workers[i].thread, NULL);
		check_worker(&workers[i], &work[i]);
	}
	if (enclave_ecall(e, 0, THREADS_TOTAL, NULL, &total))
		total = 0;
	check(total == (uint64_t)n * ROUNDS,
	      "together they counted to %llu: no increment was lost",
	      (unsigned long long)total);
}

static void enter_busy(struct enclave *e)
{
	struct threads_hold hold = { 0 };
	struct worker w = {
		.enclave = e, .argument = &hold, .ecall = THREADS_HOLD,
	};
	struct sgx_registers registers = { .rdi = THREADS_TOTAL };
	struct sgx_enclave_run run = { 0 };
	int r;

	say("2. One thread stays inside; another tries the same TCS");
	if (!check(start(&w), "the first thread is on its way"))
		return;
	while (!hold.inside)
		sched_yield();
	r = enclave_enter(e, 0, SGX_EENTER, &registers, &run);
	say("    The vDSO reports %s", enclave_describe(&run));
	check(r == 1 && run.function == SGX_EENTER,
	      "the EENTER itself failed, the enclave did not run");
	check(run.exception_vector == SGX_VECTOR_GP &&
	      run.exception_error_code == 0, "with #GP(0): the TCS is busy");

	hold.leave = true;
	pthread_join(w.thread, NULL);
	check(!w.failed && w.result == 0, "the first thread noticed nothing");
	check(!enclave_ecall(e, 0, THREADS_TOTAL, NULL, &registers.rdi),
	      "and the TCS is free again");
}

int main(int argc, char **argv)
{
	struct enclave_options options = { 0 };
	struct sample_arguments arguments;
	struct enclave enclave;
	int status = 1;

	sample_arguments(argc, argv, &arguments);
	options.debug = arguments.debug;
	options.threads = arguments.threads;
	if (!enclave_build(&enclave, arguments.enclave, &options)) {
		work_together(&enclave);
		enter_busy(&enclave);
		status = sample_end();
	}
	enclave_destroy(&enclave);
	return status;
}
