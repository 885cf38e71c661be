/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STRICT_H
#define STRICT_H

#include <stdint.h>

#define PAGES 4u

enum strict_call {
	CALL_ADDRESS,	/* of PAGES pages that hold the pattern */
	CALL_WRONG,	/* how many of their words do not */
	CALL_HOLD,	/* until the word at the argument is not 1 any more */
	CALL_DIVIDE,	/* by zero */
	CALL_TOUCH,	/* all of the heap */
	CALL_NOTHING,
};

static inline uint64_t pattern(uint64_t i)
{
	return 0x0123456789abcdefull * (i + 1);
}

#endif
