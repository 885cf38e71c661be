/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SAMPLES_SIGSTRUCT_H
#define SAMPLES_SIGSTRUCT_H

#include <stdbool.h>

#include "sgx_arch.h"

struct rsa3072_key;

/* The constant fields, and masks under which every attribute counts. */
void sigstruct_init(struct sgx_sigstruct *s);

/* Fill in key, signature, Q1 and Q2 for what the other fields now say. */
bool sigstruct_sign(struct sgx_sigstruct *s, const struct rsa3072_key *key);

/* MRSIGNER: the SHA-256 of the modulus. */
void sigstruct_mrsigner(const struct sgx_sigstruct *s,
			uint8_t mrsigner[SGX_HASH_SIZE]);

#endif
