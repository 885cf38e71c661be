// SPDX-License-Identifier: Apache-2.0
#include "../lib/enclave_rt.h"
#include "ecalls.h"

ENCLAVE_CONFIG(4, 4, 16);

/* One copy for all threads: a TCS is a thread, memory is the enclave's. */
static uint64_t counter;
static uint64_t arrived;

/*
 * An enclave cannot sleep: only the host has a scheduler. It can wait like
 * this, or leave and ask the host to be called again.
 */
static uint64_t meet(uint64_t threads)
{
	uint64_t now;

	__atomic_fetch_add(&arrived, 1, __ATOMIC_SEQ_CST);
	while ((now = __atomic_load_n(&arrived, __ATOMIC_SEQ_CST)) < threads)
		__builtin_ia32_pause();
	return now;
}

static uint64_t work(struct threads_work *untrusted)
{
	struct threads_work w;
	uint64_t i;

	if (!enclave_copy_in(&w, untrusted, sizeof(w)))
		return 1;
	w.met = meet(w.threads);
	for (i = 0, w.value = w.seed; i < w.rounds; i++) {
		w.value = threads_stir(w.value);
		__atomic_fetch_add(&counter, 1, __ATOMIC_RELAXED);
	}
	return !enclave_copy_out(untrusted, &w, sizeof(w));
}

static uint64_t hold(struct threads_hold *untrusted)
{
	if (!enclave_outside(untrusted, sizeof(*untrusted)))
		return 1;
	untrusted->inside = true;
	while (!untrusted->leave)
		__builtin_ia32_pause();
	return 0;
}

uint64_t enclave_call(uint64_t number, void *argument,
		      struct enclave_frame *frame)
{
	(void)frame;
	switch (number) {
	case THREADS_WORK:
		return work(argument);
	case THREADS_TOTAL:
		return __atomic_load_n(&counter, __ATOMIC_SEQ_CST);
	case THREADS_HOLD:
		return hold(argument);
	default:
		return ~0ull;
	}
}
