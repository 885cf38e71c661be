// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "report_error.h"

static void report(const char *format, va_list arguments)
{
	fflush(stdout);		/* in the order in which things happened */
	fprintf(stderr, "%s: ", program_invocation_short_name);
	vfprintf(stderr, format, arguments);
}

void report_error(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	report(format, arguments);
	va_end(arguments);
	fputc('\n', stderr);
}

void report_errno(const char *format, ...)
{
	va_list arguments;
	int saved = errno;

	va_start(arguments, format);
	report(format, arguments);
	va_end(arguments);
	fprintf(stderr, ": %s (errno %d)\n", strerror(saved), saved);
	errno = saved;
}
