// SPDX-License-Identifier: Apache-2.0
/*
 * AES-128 (FIPS 197) and CMAC (RFC 4493), small rather than fast. The S-box is
 * computed instead of looked up: a table indexed by secret bytes would let the
 * host, which owns the caches and the page tables, watch the key go by.
 */
#include <string.h>

#include "aes_cmac.h"

static uint8_t times2(uint8_t a)
{
	return a << 1 ^ (-(a >> 7) & 0x1b);
}

static uint8_t multiply(uint8_t a, uint8_t b)
{
	uint8_t product = 0;
	int i;

	for (i = 0; i < 8; i++) {
		product ^= -(b & 1) & a;
		a = times2(a);
		b >>= 1;
	}
	return product;
}

/* The inverse in GF(2^8) is a^254; zero maps to itself. */
static uint8_t invert(uint8_t a)
{
	uint8_t a2 = multiply(a, a), a3 = multiply(a2, a);
	uint8_t a6 = multiply(a3, a3), a12 = multiply(a6, a6);
	uint8_t a14 = multiply(a12, a2), a15 = multiply(a12, a3);
	uint8_t a30 = multiply(a15, a15), a60 = multiply(a30, a30);
	uint8_t a120 = multiply(a60, a60), a240 = multiply(a120, a120);

	return multiply(a240, a14);
}

static uint8_t substitute(uint8_t a)
{
	uint8_t x = invert(a), y = x;
	int i;

	for (i = 0; i < 4; i++) {
		x = x << 1 | x >> 7;
		y ^= x;
	}
	return y ^ 0x63;
}

static void expand_key(const uint8_t key[16], uint8_t round_keys[11][16])
{
	uint8_t *w = round_keys[0], rcon = 1, t[4], first;
	int i, j;

	memcpy(w, key, 16);
	for (i = 16; i < 176; i += 4) {
		memcpy(t, w + i - 4, 4);
		if (i % 16 == 0) {
			first = t[0];
			t[0] = substitute(t[1]) ^ rcon;
			t[1] = substitute(t[2]);
			t[2] = substitute(t[3]);
			t[3] = substitute(first);
			rcon = times2(rcon);
		}
		for (j = 0; j < 4; j++)
			w[i + j] = w[i + j - 16] ^ t[j];
	}
}

static void add_block(uint8_t state[16], const uint8_t other[16])
{
	int i;

	for (i = 0; i < 16; i++)
		state[i] ^= other[i];
}

/* SubBytes and ShiftRows in one: byte (r, c) comes from (r, c + r). */
static void substitute_and_shift(uint8_t state[16])
{
	uint8_t old[16];
	int i;

	for (i = 0; i < 16; i++)
		old[i] = substitute(state[i]);
	for (i = 0; i < 16; i++)
		state[i] = old[(i + 4 * (i % 4)) % 16];
}

static void mix_columns(uint8_t state[16])
{
	uint8_t *c, first, all;
	int i, j;

	for (i = 0; i < 4; i++) {
		c = state + 4 * i;
		first = c[0];
		all = c[0] ^ c[1] ^ c[2] ^ c[3];
		for (j = 0; j < 3; j++)
			c[j] ^= all ^ times2(c[j] ^ c[j + 1]);
		c[3] ^= all ^ times2(c[3] ^ first);
	}
}

static void encrypt(uint8_t round_keys[11][16], uint8_t state[16])
{
	int round;

	add_block(state, round_keys[0]);
	for (round = 1; round < 10; round++) {
		substitute_and_shift(state);
		mix_columns(state);
		add_block(state, round_keys[round]);
	}
	substitute_and_shift(state);
	add_block(state, round_keys[10]);
}

/* The subkeys of RFC 4493, section 2.3: doubling in GF(2^128). */
static void double_block(uint8_t block[16])
{
	uint8_t carry = block[0] >> 7;
	int i;

	for (i = 0; i < 15; i++)
		block[i] = block[i] << 1 | block[i + 1] >> 7;
	block[15] = block[15] << 1 ^ (-carry & 0x87);
}

void aes_cmac(const uint8_t key[16], const void *message, size_t length,
	      uint8_t mac[16])
{
	uint8_t round_keys[11][16], subkey[16] = { 0 }, last[16] = { 0 };
	const uint8_t *p = message;

	expand_key(key, round_keys);
	encrypt(round_keys, subkey);
	double_block(subkey);

	memset(mac, 0, 16);
	for (; length > 16; length -= 16, p += 16) {
		add_block(mac, p);
		encrypt(round_keys, mac);
	}
	if (length)
		memcpy(last, p, length);
	if (length < 16) {
		last[length] = 0x80;
		double_block(subkey);
	}
	add_block(mac, last);
	add_block(mac, subkey);
	encrypt(round_keys, mac);
}
