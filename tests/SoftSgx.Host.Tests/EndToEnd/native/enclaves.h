/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ENCLAVES_H
#define ENCLAVES_H

#include <stdint.h>

enum call {
	CALL_ADD,		/* argument + 1 */
	CALL_HOLD,		/* stay inside while *argument is 1; sets it to 1 from 0 */
	CALL_ADDRESS,		/* of some memory of the enclave's */
};

#endif
