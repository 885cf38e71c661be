// SPDX-License-Identifier: Apache-2.0
#include "../lib/enclave_rt.h"
#include "ecalls.h"

ENCLAVE_CONFIG(1, 4, 16);

#define MAX_NUMBERS (1u << 20)

static char *append(char *to, const char *text)
{
	size_t length = strlen(text);

	memcpy(to, text, length + 1);
	return to + length;
}

static char *append_number(char *to, uint64_t number)
{
	char digits[21], *p = digits + 20;

	*p = '\0';
	do {
		*--p = '0' + number % 10;
		number /= 10;
	} while (number);
	return append(to, p);
}

static enum hello_result greet(const struct hello_sum *call)
{
	char text[96], *p = text;
	size_t length;

	p = append(p, "Hello from inside: ");
	p = append_number(p, call->count);
	p = append(p, " numbers add up to ");
	p = append_number(p, call->sum);
	length = p + 1 - text;
	if (length > call->greeting_size)
		return HELLO_TOO_LONG;
	return enclave_copy_out(call->greeting, text, length) ?
	       HELLO_OK : HELLO_BAD_POINTER;
}

/*
 * Every pointer from outside is suspect twice: it may point into the enclave,
 * so that we would read or write our own secrets for the host; and what it
 * points to may change under our hands. Hence the private copy of the
 * arguments, and the check of each range before its use.
 */
static enum hello_result sum(struct hello_sum *untrusted)
{
	struct hello_sum call;
	uint64_t i;

	if (!enclave_copy_in(&call, untrusted, sizeof(call)))
		return HELLO_BAD_POINTER;
	if (call.count > MAX_NUMBERS)
		return HELLO_TOO_LONG;
	if (!enclave_outside(call.numbers, call.count * sizeof(uint64_t)))
		return HELLO_BAD_POINTER;

	call.sum = 0;
	for (i = 0; i < call.count; i++)
		call.sum += ((const volatile uint64_t *)call.numbers)[i];
	untrusted->sum = call.sum;
	return greet(&call);
}

/* A report that names this enclave itself as the one who shall check it. */
static enum hello_result report(struct hello_report *untrusted)
{
	struct sgx_report report __attribute__((aligned(512)));
	struct sgx_targetinfo target;
	struct sgx_reportdata data;

	if (!enclave_copy_in(data.bytes, untrusted->data, sizeof(data.bytes)))
		return HELLO_BAD_POINTER;
	enclave_identity(&report);
	enclave_as_target(&report, &target);
	enclave_ereport(&target, &data, &report);
	return enclave_copy_out(&untrusted->report, &report, sizeof(report)) ?
	       HELLO_OK : HELLO_BAD_POINTER;
}

static enum hello_result verify(const struct sgx_report *untrusted)
{
	struct sgx_report report;

	if (!enclave_copy_in(&report, untrusted, sizeof(report)))
		return HELLO_BAD_POINTER;
	return enclave_verify_report(&report) ? HELLO_OK : HELLO_FALSE;
}

uint64_t enclave_call(uint64_t number, void *argument,
		      struct enclave_frame *frame)
{
	(void)frame;
	switch (number) {
	case HELLO_SUM:
		return sum(argument);
	case HELLO_REPORT:
		return report(argument);
	case HELLO_VERIFY:
		return verify(argument);
	default:
		return HELLO_UNKNOWN;
	}
}
