// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tap.h"

static unsigned int tests, failures;

static void begin(bool holds, const char *name, va_list arguments)
{
	tests++;
	failures += !holds;
	fputs(holds ? "ok " : "not ok ", stdout);
	vprintf(name, arguments);
}

static bool end(bool holds)
{
	putchar('\n');
	fflush(stdout);
	return holds;
}

/* A macro, as va_list allows no wrapper around "...". */
#define BEGIN(holds, name)				\
	do {						\
		va_list arguments;			\
		va_start(arguments, name);		\
		begin(holds, name, arguments);		\
		va_end(arguments);			\
	} while (0)

bool expect(long long got, long long wanted, const char *name, ...)
{
	bool holds = got == wanted;

	BEGIN(holds, name);
	if (!holds)
		printf(": got %lld, wanted %lld", got, wanted);
	return end(holds);
}

bool expect_hex(uint64_t got, uint64_t wanted, const char *name, ...)
{
	bool holds = got == wanted;

	BEGIN(holds, name);
	if (!holds)
		printf(": got 0x%llx, wanted 0x%llx", (unsigned long long)got,
		       (unsigned long long)wanted);
	return end(holds);
}

bool expect_true(bool holds, const char *name, ...)
{
	BEGIN(holds, name);
	if (!holds)
		printf(": got false, wanted true");
	return end(holds);
}

bool expect_bytes(const void *got, const void *wanted, unsigned long length,
		  const char *name, ...)
{
	bool holds = !memcmp(got, wanted, length);
	const unsigned char *g = got, *w = wanted;
	unsigned long i = 0;

	BEGIN(holds, name);
	if (!holds) {
		while (g[i] == w[i])
			i++;
		printf(": got 0x%02x, wanted 0x%02x at byte %lu", g[i], w[i], i);
	}
	return end(holds);
}

static const char *errno_name(int number)
{
	static char other[16];

	switch (number) {
#define NAME(e) case e: return #e
	NAME(EPERM);
	NAME(ENOENT);
	NAME(EINTR);
	NAME(EIO);
	NAME(EBADF);
	NAME(EAGAIN);
	NAME(ENOMEM);
	NAME(EACCES);
	NAME(EFAULT);
	NAME(EBUSY);
	NAME(EEXIST);
	NAME(ENODEV);
	NAME(ENOTDIR);
	NAME(EINVAL);
	NAME(ENOTTY);
	NAME(ESPIPE);
	NAME(EROFS);
	NAME(ELOOP);
	NAME(ENOSYS);
	NAME(EOPNOTSUPP);
#undef NAME
	default:
		snprintf(other, sizeof(other), "errno %d", number);
		return other;
	}
}

bool expect_errno(long result, int wanted, const char *name, ...)
{
	int got = errno;
	bool holds = wanted ? result == -1 && got == wanted : result != -1;

	BEGIN(holds, name);
	if (!holds) {
		printf(": got %s", result == -1 ? errno_name(got) : "success");
		printf(", wanted %s", wanted ? errno_name(wanted) : "success");
	}
	return end(holds);
}

void skip(const char *why, const char *name, ...)
{
	BEGIN(true, name);
	printf(" # SKIP %s", why);
	end(true);
}

void give_up(const char *what)
{
	printf("Bail out! %s\n", what);
	exit(1);
}

int done(void)
{
	printf("1..%u\n", tests);
	if (failures)
		printf("# %u of %u failed\n", failures, tests);
	return failures != 0;
}
