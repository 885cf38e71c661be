/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SAMPLES_SAMPLE_KEY_H
#define SAMPLES_SAMPLE_KEY_H

#include "rsa3072.h"

/* Public, private half included: for samples and tests only. */
extern const struct rsa3072_key sample_public_test_key;

#endif
