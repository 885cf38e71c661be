/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SAMPLES_REPORT_ERROR_H
#define SAMPLES_REPORT_ERROR_H

/* One line on stderr, after the program's name. */
void report_error(const char *format, ...)
	__attribute__((format(printf, 1, 2)));

/* The same, and what errno says. Keeps errno. */
void report_errno(const char *format, ...)
	__attribute__((format(printf, 1, 2)));

#endif
