// SPDX-License-Identifier: Apache-2.0
/*
 * RSA-3072 signatures as SIGSTRUCT has them: PKCS #1 v1.5 over SHA-256 with the
 * public exponent 3, and the two quotients Q1 and Q2 with which EINIT checks
 * a signature by multiplications alone.
 *
 * Plain and not constant in time: it signs with a public test key.
 */
#include <string.h>

#include "rsa3072.h"

#define LIMBS RSA3072_LIMBS

typedef unsigned __int128 wide;

static int compare(const uint64_t *a, const uint64_t *b)
{
	int i;

	for (i = LIMBS - 1; i >= 0; i--)
		if (a[i] != b[i])
			return a[i] < b[i] ? -1 : 1;
	return 0;
}

static void subtract(uint64_t *a, const uint64_t *b)
{
	uint64_t borrow = 0;
	wide difference;
	int i;

	for (i = 0; i < LIMBS; i++) {
		difference = (wide)a[i] - b[i] - borrow;
		a[i] = difference;
		borrow = (difference >> 64) & 1;
	}
}

/* a = 2a + bit, less the modulus if that is reached; whether it was. */
static bool double_reduced(uint64_t *a, uint64_t bit, const uint64_t *modulus)
{
	uint64_t carry = bit, next;
	int i;

	for (i = 0; i < LIMBS; i++) {
		next = a[i] >> 63;
		a[i] = a[i] << 1 | carry;
		carry = next;
	}
	if (!carry && compare(a, modulus) < 0)
		return false;
	subtract(a, modulus);
	return true;
}

static void multiply(uint64_t product[2 * LIMBS], const uint64_t *a,
		     const uint64_t *b)
{
	uint64_t carry;
	wide sum;
	int i, j;

	memset(product, 0, 2 * LIMBS * sizeof(*product));
	for (i = 0; i < LIMBS; i++) {
		carry = 0;
		for (j = 0; j < LIMBS; j++) {
			sum = (wide)a[i] * b[j] + product[i + j] + carry;
			product[i + j] = sum;
			carry = sum >> 64;
		}
		product[i + LIMBS] = carry;
	}
}

/* Long division bit by bit; the quotient must fit, as it does for a, b < n. */
static void divide(const uint64_t dividend[2 * LIMBS], const uint64_t *modulus,
		   uint64_t *quotient, uint64_t *remainder)
{
	uint64_t bit;
	int i;

	memset(quotient, 0, LIMBS * sizeof(*quotient));
	memset(remainder, 0, LIMBS * sizeof(*remainder));
	for (i = 2 * LIMBS * 64 - 1; i >= 0; i--) {
		bit = dividend[i / 64] >> (i % 64) & 1;
		if (double_reduced(remainder, bit, modulus))
			quotient[i / 64] |= 1ull << (i % 64);
	}
}

/* -1 / n modulo 2^64, by Newton's iteration: each step doubles the bits. */
static uint64_t negative_inverse(uint64_t n)
{
	uint64_t x = n;		/* right to three bits for odd n */
	int i;

	for (i = 0; i < 5; i++)
		x *= 2 - n * x;
	return -x;
}

/* r = a * b / 2^3072 modulo n (Montgomery); r may be a or b. */
static void montgomery(uint64_t *r, const uint64_t *a, const uint64_t *b,
		       const uint64_t *n, uint64_t inverse)
{
	uint64_t t[LIMBS + 2] = { 0 }, carry, m;
	wide sum;
	int i, j;

	for (i = 0; i < LIMBS; i++) {
		for (carry = 0, j = 0; j < LIMBS; j++) {
			sum = (wide)a[j] * b[i] + t[j] + carry;
			t[j] = sum;
			carry = sum >> 64;
		}
		sum = (wide)t[LIMBS] + carry;
		t[LIMBS] = sum;
		t[LIMBS + 1] = sum >> 64;

		m = t[0] * inverse;
		carry = ((wide)m * n[0] + t[0]) >> 64;
		for (j = 1; j < LIMBS; j++) {
			sum = (wide)m * n[j] + t[j] + carry;
			t[j - 1] = sum;
			carry = sum >> 64;
		}
		sum = (wide)t[LIMBS] + carry;
		t[LIMBS - 1] = sum;
		t[LIMBS] = t[LIMBS + 1] + (uint64_t)(sum >> 64);
	}
	if (t[LIMBS] || compare(t, n) >= 0)
		subtract(t, n);
	memcpy(r, t, LIMBS * sizeof(*r));
}

/* r = base^exponent modulo n */
static void power(uint64_t *r, const uint64_t *base, const uint64_t *exponent,
		  const uint64_t *n)
{
	uint64_t inverse = negative_inverse(n[0]);
	uint64_t one[LIMBS] = { 1 }, x[LIMBS], y[LIMBS];
	int i;

	/* Into Montgomery form: times 2^3072. */
	memcpy(x, base, sizeof(x));
	memcpy(y, one, sizeof(y));
	for (i = 0; i < LIMBS * 64; i++) {
		double_reduced(x, 0, n);
		double_reduced(y, 0, n);
	}
	for (i = LIMBS * 64 - 1; i >= 0; i--) {
		montgomery(y, y, y, n, inverse);
		if (exponent[i / 64] >> (i % 64) & 1)
			montgomery(y, y, x, n, inverse);
	}
	montgomery(r, y, one, n, inverse);
}

/* PKCS #1 v1.5: 00 01 FF … FF 00, the DigestInfo of SHA-256, the digest. */
static void pad(const uint8_t digest[32], uint64_t *message)
{
	static const uint8_t digest_info[19] = {
		0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01,
		0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20,
	};
	uint8_t block[RSA3072_SIZE];
	int i;

	memset(block, 0xff, sizeof(block));
	block[0] = 0;
	block[1] = 1;
	block[RSA3072_SIZE - 52] = 0;
	memcpy(block + RSA3072_SIZE - 51, digest_info, 19);
	memcpy(block + RSA3072_SIZE - 32, digest, 32);

	memset(message, 0, RSA3072_SIZE);
	for (i = 0; i < RSA3072_SIZE; i++)
		message[i / 8] |= (uint64_t)block[RSA3072_SIZE - 1 - i]
				  << (i % 8 * 8);
}

void rsa3072_modulus(const struct rsa3072_key *key, uint8_t bytes[RSA3072_SIZE])
{
	memcpy(bytes, key->modulus, RSA3072_SIZE);	/* x86 is little endian */
}

bool rsa3072_sign(const struct rsa3072_key *key, const uint8_t digest[32],
		  struct rsa3072_signature *signature)
{
	uint64_t message[LIMBS], value[LIMBS], quotient[LIMBS];
	uint64_t product[2 * LIMBS], remainder[LIMBS];

	pad(digest, message);
	power(value, message, key->private_exponent, key->modulus);
	memcpy(signature->value, value, RSA3072_SIZE);

	multiply(product, value, value);
	divide(product, key->modulus, quotient, remainder);
	memcpy(signature->q1, quotient, RSA3072_SIZE);

	multiply(product, value, remainder);
	divide(product, key->modulus, quotient, remainder);
	memcpy(signature->q2, quotient, RSA3072_SIZE);

	/* The last remainder is the signature cubed: the message again. */
	return compare(remainder, message) == 0;
}
