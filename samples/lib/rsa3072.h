/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SAMPLES_RSA3072_H
#define SAMPLES_RSA3072_H

#include <stdbool.h>
#include <stdint.h>

#define RSA3072_SIZE	384	/* bytes */
#define RSA3072_LIMBS	48	/* of 64 bits, least significant first */

struct rsa3072_key {
	uint64_t modulus[RSA3072_LIMBS];
	uint64_t private_exponent[RSA3072_LIMBS];
};

/* What SIGSTRUCT wants of a signature; little endian. */
struct rsa3072_signature {
	uint8_t value[RSA3072_SIZE];
	uint8_t q1[RSA3072_SIZE];
	uint8_t q2[RSA3072_SIZE];
};

void rsa3072_modulus(const struct rsa3072_key *key, uint8_t bytes[RSA3072_SIZE]);

/* False if the result does not verify: the key's parts do not belong together. */
bool rsa3072_sign(const struct rsa3072_key *key, const uint8_t digest[32],
		  struct rsa3072_signature *signature);

#endif
