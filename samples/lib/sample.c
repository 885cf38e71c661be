// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sample.h"

static atomic_uint failures;

static void usage(void)
{
	fprintf(stderr, "usage: %s [--debug] [--threads N] [ENCLAVE]\n",
		program_invocation_short_name);
	exit(1);
}

void sample_arguments(int argc, char **argv, struct sample_arguments *a)
{
	char name[256];
	int i;

	memset(a, 0, sizeof(*a));
	for (i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--debug"))
			a->debug = true;
		else if (!strcmp(argv[i], "--threads") && i + 1 < argc)
			a->threads = strtoul(argv[++i], NULL, 10);
		else if (argv[i][0] != '-' && !a->enclave)
			a->enclave = argv[i];
		else
			usage();
	}
	if (a->threads > ENCLAVE_MAX_THREADS)
		usage();
	if (!a->enclave) {
		snprintf(name, sizeof(name), "%s.enclave",
			 program_invocation_short_name);
		a->enclave = enclave_beside_program(name);
	}
}

void say(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vprintf(format, arguments);
	va_end(arguments);
	putchar('\n');
	fflush(stdout);
}

bool check(bool holds, const char *format, ...)
{
	va_list arguments;

	printf(holds ? "    yes: " : "    NO:  ");
	va_start(arguments, format);
	vprintf(format, arguments);
	va_end(arguments);
	putchar('\n');
	fflush(stdout);
	if (!holds)
		failures++;
	return holds;
}

void say_bytes(const char *name, const void *bytes, size_t length)
{
	const unsigned char *p = bytes;

	printf("    %-10s ", name);
	while (length--)
		printf("%02x", *p++);
	putchar('\n');
}

int sample_end(void)
{
	unsigned int failed = failures;

	if (failed)
		printf("%s: %u of the checks failed\n",
		       program_invocation_short_name, failed);
	else
		printf("%s: ok\n", program_invocation_short_name);
	return failed != 0;
}
