// SPDX-License-Identifier: Apache-2.0
/*
 * An enclave that seals: what it writes out, only an enclave of the same signer
 * and product, on the same platform and of the same or a higher version, can
 * read again. The key never exists outside; EGETKEY makes it anew each time.
 */
#include "../lib/aes_cmac.h"
#include "../lib/enclave_rt.h"
#include "ecalls.h"

ENCLAVE_CONFIG(1, 4, 4);

static const uint8_t magic[8] = "SEALED1";

/* One thread, one TCS: so buffers of the enclave's own, not of the stack. */
static uint8_t text[SEAL_MAX_TEXT];
static uint8_t sealed[SEAL_MAX_TEXT + SEALED_OVERHEAD];

/*
 * Which attributes make another key: INIT and DEBUG, so that a debug enclave,
 * which anybody can read, gets no key of a production one. XFRM and MISCSELECT
 * do not: a processor with more features still opens what was sealed.
 */
#define SEAL_ATTRIBUTES_MASK	(SGX_ATTR_INIT | SGX_ATTR_DEBUG)

struct keys {
	uint8_t encryption[16];
	uint8_t authentication[16];
};

/* Written so that a compiler cannot leave it out. */
static void forget(void *p, size_t length)
{
	memset(p, 0, length);
	asm volatile("" : : "r"(p) : "memory");
}

/* RDRAND may have nothing to give for a moment; then it clears CF. */
static bool random_bytes(uint8_t *p, size_t length)
{
	uint64_t word;
	uint8_t given;
	int tries;

	for (; length; p += 8, length -= 8) {
		for (tries = 0, given = 0; !given && tries < 100; tries++)
			asm volatile("rdrand %0\n\tsetc %1"
				     : "=r"(word), "=qm"(given) : : "cc");
		if (!given)
			return false;
		memcpy(p, &word, 8);
	}
	return true;
}

/*
 * The sealing key that a header names, and from it two, because one key should
 * serve one purpose. The policy and the masks are ours, whatever a file says:
 * else somebody could choose which key we derive, or have EGETKEY fault.
 */
static enum seal_result derive(const struct sealed_header *header,
			       struct keys *keys)
{
	struct sgx_keyrequest request = {
		.keyname = SGX_KEY_SEAL,
		.keypolicy = SGX_KEYPOLICY_MRSIGNER,
		.isv_svn = header->isv_svn,
		.attributes_mask = SEAL_ATTRIBUTES_MASK,
	};
	uint8_t key[16] __attribute__((aligned(16)));
	enum seal_result result = SEAL_OK;

	memcpy(request.cpu_svn, header->cpu_svn, sizeof(request.cpu_svn));
	memcpy(request.key_id, header->key_id, sizeof(request.key_id));
	switch (enclave_egetkey(&request, key)) {
	case SGX_SUCCESS:
		aes_cmac(key, "encryption", 10, keys->encryption);
		aes_cmac(key, "authentication", 14, keys->authentication);
		break;
	case SGX_INVALID_ISVSVN:
		result = SEAL_LATER_VERSION;
		break;
	case SGX_INVALID_CPUSVN:
		result = SEAL_LATER_PLATFORM;
		break;
	default:
		result = SEAL_NOT_SEALED;
		break;
	}
	forget(key, sizeof(key));
	return result;
}

/*
 * A stream from a pseudo-random function in counter mode (NIST SP 800-108): the
 * CMAC of the block's number. The key is used for one file only, so the number
 * may start at zero each time.
 */
static void apply_stream(const uint8_t key[16], const uint8_t *from,
			 uint8_t *to, size_t length)
{
	uint8_t stream[16];
	uint64_t block;
	size_t i;

	for (i = 0; i < length; i++) {
		if (i % 16 == 0) {
			block = i / 16;
			aes_cmac(key, &block, sizeof(block), stream);
		}
		to[i] = from[i] ^ stream[i % 16];
	}
	forget(stream, sizeof(stream));
}

/* In a time that does not tell where they differ. */
static bool is_equal(const uint8_t *a, const uint8_t *b, size_t length)
{
	uint8_t difference = 0;

	while (length--)
		difference |= *a++ ^ *b++;
	return difference == 0;
}

static enum seal_result seal(const struct seal_call *call, uint64_t *length)
{
	struct sealed_header *header = (void *)sealed;
	uint8_t *body = sealed + sizeof(*header);
	struct sgx_report self __attribute__((aligned(512)));
	struct keys keys;
	enum seal_result result;

	if (call->in_length > SEAL_MAX_TEXT)
		return SEAL_TOO_LONG;
	if (!enclave_copy_in(text, call->in, call->in_length))
		return SEAL_BAD_POINTER;

	enclave_identity(&self);
	memcpy(header->magic, magic, sizeof(magic));
	header->isv_svn = self.isv_svn;
	header->zero = 0;
	header->length = call->in_length;
	memcpy(header->cpu_svn, self.cpu_svn, sizeof(header->cpu_svn));
	if (!random_bytes(header->key_id, sizeof(header->key_id)))
		return SEAL_NO_RANDOM;
	result = derive(header, &keys);
	if (result != SEAL_OK)
		return result;

	/* First encrypt, then authenticate what everybody will see. */
	apply_stream(keys.encryption, text, body, header->length);
	aes_cmac(keys.authentication, sealed, sizeof(*header) + header->length,
		 body + header->length);
	forget(&keys, sizeof(keys));
	forget(text, sizeof(text));

	*length = header->length + SEALED_OVERHEAD;
	if (*length > call->out_size)
		return SEAL_TOO_LONG;
	return enclave_copy_out(call->out, sealed, *length) ?
	       SEAL_OK : SEAL_BAD_POINTER;
}

static enum seal_result open(const struct seal_call *call, uint64_t *length)
{
	struct sealed_header *header = (void *)sealed;
	uint8_t *body = sealed + sizeof(*header), mac[SEALED_MAC_SIZE];
	struct keys keys;
	enum seal_result result;
	bool is_ours;

	if (call->in_length < SEALED_OVERHEAD ||
	    call->in_length > sizeof(sealed))
		return SEAL_NOT_SEALED;
	if (!enclave_copy_in(sealed, call->in, call->in_length))
		return SEAL_BAD_POINTER;
	if (memcmp(header->magic, magic, sizeof(magic)) ||
	    header->length != call->in_length - SEALED_OVERHEAD)
		return SEAL_NOT_SEALED;

	result = derive(header, &keys);
	if (result != SEAL_OK)
		return result;
	aes_cmac(keys.authentication, sealed, sizeof(*header) + header->length,
		 mac);
	is_ours = is_equal(mac, body + header->length, sizeof(mac));
	if (is_ours)
		apply_stream(keys.encryption, body, text, header->length);
	forget(&keys, sizeof(keys));
	if (!is_ours)
		return SEAL_NOT_OURS;

	*length = header->length;
	if (*length > call->out_size)
		return SEAL_TOO_LONG;
	return enclave_copy_out(call->out, text, *length) ?
	       SEAL_OK : SEAL_BAD_POINTER;
}

uint64_t enclave_call(uint64_t number, void *argument,
		      struct enclave_frame *frame)
{
	struct seal_call call;
	uint64_t length = 0;
	enum seal_result result;

	(void)frame;
	if (number != SEAL_SEAL && number != SEAL_OPEN)
		return SEAL_UNKNOWN;
	if (!enclave_copy_in(&call, argument, sizeof(call)))
		return SEAL_BAD_POINTER;
	result = number == SEAL_SEAL ? seal(&call, &length) :
				       open(&call, &length);
	if (result == SEAL_OK)
		((struct seal_call *)argument)->out_length = length;
	return result;
}
