/* SPDX-License-Identifier: Apache-2.0 */
/* What the host may ask of the enclave. Arguments lie in the host's memory. */
#ifndef SAMPLES_SEAL_ECALLS_H
#define SAMPLES_SEAL_ECALLS_H

#include <stdint.h>

enum seal_ecall {
	SEAL_SEAL,
	SEAL_OPEN,
};

enum seal_result {
	SEAL_OK,
	SEAL_BAD_POINTER,	/* not wholly outside the enclave */
	SEAL_TOO_LONG,
	SEAL_NOT_SEALED,	/* no sealed file, or of another kind */
	SEAL_LATER_VERSION,	/* sealed by an enclave of a higher SVN */
	SEAL_LATER_PLATFORM,	/* sealed under a higher CPUSVN */
	SEAL_NOT_OURS,		/* other signer, other platform, or damaged */
	SEAL_NO_RANDOM,
	SEAL_UNKNOWN,
};

/* What SEAL_SEAL and SEAL_OPEN take, and where their result goes. */
struct seal_call {
	const uint8_t *in;
	uint64_t in_length;
	uint8_t *out;
	uint64_t out_size;
	uint64_t out_length;	/* out */
};

#define SEAL_MAX_TEXT	4096u

/*
 * A sealed file. Everything that EGETKEY must be told again stands in the
 * clear: none of it is secret, and all of it is authenticated by the MAC.
 */
struct sealed_header {
	uint8_t  magic[8];
	uint16_t isv_svn;	/* of the enclave that sealed */
	uint16_t zero;
	uint32_t length;	/* of the text */
	uint8_t  cpu_svn[16];	/* of the platform that sealed */
	uint8_t  key_id[32];	/* chance: each file has a key of its own */
};

_Static_assert(sizeof(struct sealed_header) == 64, "sealed header");

#define SEALED_MAC_SIZE	16u
#define SEALED_OVERHEAD	(sizeof(struct sealed_header) + SEALED_MAC_SIZE)

#endif
