// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "rsa3072.h"
#include "sha256.h"
#include "sigstruct.h"

void sigstruct_init(struct sgx_sigstruct *s)
{
	static const uint8_t header[16] = {
		0x06, 0, 0, 0, 0xe1, 0, 0, 0, 0, 0, 0x01, 0, 0, 0, 0, 0,
	};
	static const uint8_t header2[16] = {
		0x01, 0x01, 0, 0, 0x60, 0, 0, 0, 0x60, 0, 0, 0, 0x01, 0, 0, 0,
	};

	memset(s, 0, sizeof(*s));
	memcpy(s->header, header, sizeof(header));
	memcpy(s->header2, header2, sizeof(header2));
	s->date = 0x20240101;	/* fixed: the same file for the same enclave */
	s->miscmask = ~0u;
	s->attributes_mask = ~0ull;
	s->xfrm_mask = ~0ull;
}

bool sigstruct_sign(struct sgx_sigstruct *s, const struct rsa3072_key *key)
{
	struct rsa3072_signature signature;
	struct sha256 hash;
	uint8_t digest[32];

	sha256_init(&hash);
	sha256_update(&hash, s, SGX_SIGSTRUCT_SIGNED1);
	sha256_update(&hash, &s->miscselect, SGX_SIGSTRUCT_SIGNED2);
	sha256_final(&hash, digest);
	if (!rsa3072_sign(key, digest, &signature))
		return false;

	rsa3072_modulus(key, s->modulus);
	s->exponent = 3;
	memcpy(s->signature, signature.value, sizeof(s->signature));
	memcpy(s->q1, signature.q1, sizeof(s->q1));
	memcpy(s->q2, signature.q2, sizeof(s->q2));
	return true;
}

void sigstruct_mrsigner(const struct sgx_sigstruct *s,
			uint8_t mrsigner[SGX_HASH_SIZE])
{
	struct sha256 hash;

	sha256_init(&hash);
	sha256_update(&hash, s->modulus, sizeof(s->modulus));
	sha256_final(&hash, mrsigner);
}
