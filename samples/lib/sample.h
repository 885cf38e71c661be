/* SPDX-License-Identifier: Apache-2.0 */
/* What the hosts of the samples share: their command line and their voice. */
#ifndef SAMPLES_SAMPLE_H
#define SAMPLES_SAMPLE_H

#include <stdbool.h>
#include <stddef.h>

#include "loader.h"

struct sample_arguments {
	const char *enclave;	/* path */
	bool debug;
	unsigned int threads;
};

/* [--debug] [--threads N] [ENCLAVE]; ends the program if it is anything else. */
void sample_arguments(int argc, char **argv, struct sample_arguments *a);

/* One step told to the reader, and the check that it went as told. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
bool check(bool holds, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

void say_bytes(const char *name, const void *bytes, size_t length);

/* The last line, and the exit status: ok only if every check held. */
int sample_end(void);

#endif
