/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SAMPLES_AES_CMAC_H
#define SAMPLES_AES_CMAC_H

#include <stddef.h>
#include <stdint.h>

/* AES-128-CMAC (RFC 4493): the MAC of a REPORT. */
void aes_cmac(const uint8_t key[16], const void *message, size_t length,
	      uint8_t mac[16]);

#endif
