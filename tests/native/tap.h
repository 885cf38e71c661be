/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Test output: "ok NAME", "not ok NAME: got X, wanted Y", "ok NAME # SKIP why",
 * and the count at the end. Names are printf formats.
 */
#ifndef TESTS_NATIVE_TAP_H
#define TESTS_NATIVE_TAP_H

#include <stdbool.h>
#include <stdint.h>

bool expect(long long got, long long wanted, const char *name, ...)
	__attribute__((format(printf, 3, 4)));
bool expect_hex(uint64_t got, uint64_t wanted, const char *name, ...)
	__attribute__((format(printf, 3, 4)));
bool expect_true(bool holds, const char *name, ...)
	__attribute__((format(printf, 2, 3)));
bool expect_bytes(const void *got, const void *wanted, unsigned long length,
		  const char *name, ...)
	__attribute__((format(printf, 4, 5)));

/* The result of a system call, with errno: 0 wants a success. */
bool expect_errno(long result, int wanted, const char *name, ...)
	__attribute__((format(printf, 3, 4)));

void skip(const char *why, const char *name, ...)
	__attribute__((format(printf, 2, 3)));

/* Something that the tests need failed: count it, and end the program. */
void give_up(const char *what) __attribute__((noreturn));

/* The count, and the exit status. */
int done(void);

#endif
