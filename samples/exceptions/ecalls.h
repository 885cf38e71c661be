/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SAMPLES_EXCEPTIONS_ECALLS_H
#define SAMPLES_EXCEPTIONS_ECALLS_H

#include <stdint.h>

enum exceptions_ecall {
	EXCEPTIONS_DIVIDE,	/* RSI / RDX */
	EXCEPTIONS_UNDEFINED,	/* executes UD2 */
	EXCEPTIONS_PAGE,	/* the offset of a page to play with */
	EXCEPTIONS_WRITE,	/* RSI into that page, then reads it back */
	EXCEPTIONS_SEEN,	/* the vector the handler saw last */
	EXCEPTIONS_SEEN_ADDRESS,	/* and the address, as an offset */
};

#define NOTHING_SEEN		(~0ull)
#define AFTER_UNDEFINED		42

#endif
