// SPDX-License-Identifier: Apache-2.0
#include "aes_cmac.h"
#include "enclave_rt.h"

/* The symbol at offset 0; the code's own address tells where that is. */
extern uint8_t __enclave_base[] __attribute__((visibility("hidden")));

struct sgx_gprsgx *enclave_dispatch(struct enclave_frame *frame);

_Static_assert(offsetof(struct sgx_gprsgx, ursp) == GPRSGX_URSP, "GPRSGX");
_Static_assert(offsetof(struct sgx_gprsgx, urbp) == GPRSGX_URBP, "GPRSGX");

void *enclave_base(void)
{
	return __enclave_base;
}

struct enclave_thread *enclave_thread(void)
{
	uint64_t self;

	asm("mov %%gs:%c1, %0" : "=r"(self) : "i"(THREAD_SELF));
	return (struct enclave_thread *)(__enclave_base + self);
}

/* Written so that no sum can wrap round. */
bool enclave_inside(const void *p, size_t length)
{
	uint64_t offset = (uint64_t)p - (uint64_t)__enclave_base;

	return offset < enclave_config.size &&
	       length <= enclave_config.size - offset;
}

bool enclave_outside(const void *p, size_t length)
{
	uint64_t start = (uint64_t)p, base = (uint64_t)__enclave_base;

	if (start < base)
		return length <= base - start;
	return start - base >= enclave_config.size && length <= -start;
}

bool enclave_copy_in(void *inside, const void *outside, size_t length)
{
	if (!enclave_outside(outside, length))
		return false;
	memcpy(inside, outside, length);
	return true;
}

bool enclave_copy_out(void *outside, const void *inside, size_t length)
{
	if (!enclave_outside(outside, length))
		return false;
	memcpy(outside, inside, length);
	return true;
}

void *enclave_alloc(size_t length)
{
	static uint64_t used;
	uint64_t size = enclave_config.heap_pages * SGX_PAGE_SIZE, start;

	length = (length + 63) & ~63ull;
	start = __atomic_fetch_add(&used, length, __ATOMIC_RELAXED);
	if (start > size || length > size - start)
		return NULL;
	return __enclave_base + enclave_config.heap_offset + start;
}

/*
 * Frame CSSA is where an exit at this depth saves the state, and where entry at
 * this depth noted the host's stack; frames below it are of interrupted runs.
 */
struct sgx_gprsgx *enclave_saved_state(unsigned int frame)
{
	uint64_t size = enclave_config.ssa_frame_pages * SGX_PAGE_SIZE;

	return (struct sgx_gprsgx *)(__enclave_base + enclave_thread()->ssa +
				     (frame + 1) * size) - 1;
}

bool __attribute__((weak)) enclave_exception(struct sgx_gprsgx *state,
					     const struct sgx_exinfo *exinfo,
					     struct enclave_frame *frame)
{
	(void)state;
	(void)exinfo;
	(void)frame;
	return false;
}

void __attribute__((weak)) enclave_notified(struct sgx_gprsgx *state)
{
	(void)state;
}

static bool selected_exinfo(void)
{
	struct sgx_report report __attribute__((aligned(512)));

	enclave_identity(&report);
	return report.miscselect & SGX_MISC_EXINFO;
}

/*
 * The host may enter here whenever an SSA frame is in use, also after a mere
 * interrupt, and it may lie about what happened. Only the frame tells.
 */
static uint64_t handle_exception(struct enclave_frame *frame)
{
	struct sgx_gprsgx *state = enclave_saved_state(frame->rax - 1);
	struct sgx_exinfo *exinfo = (struct sgx_exinfo *)state - 1;

	if (state->aexnotify & SGX_AEXNOTIFY_ENABLED)
		enclave_notified(state);
	if (!(state->exitinfo & SGX_EXITINFO_VALID))
		return ENCLAVE_EXCEPTION_NONE;
	if (!selected_exinfo())
		exinfo = NULL;
	if (!enclave_exception(state, exinfo, frame))
		return ENCLAVE_EXCEPTION_UNHANDLED;
	return ENCLAVE_EXCEPTION_FIXED;
}

/* From enclave_entry; returns where the processor noted the host's stack. */
struct sgx_gprsgx *enclave_dispatch(struct enclave_frame *frame)
{
	if (frame->rax)
		frame->rdi = handle_exception(frame);
	else
		frame->rdi = enclave_call(frame->rdi, (void *)frame->rsi, frame);
	return enclave_saved_state(frame->rax);
}

void enclave_ereport(const struct sgx_targetinfo *target,
		     const struct sgx_reportdata *data,
		     struct sgx_report *report)
{
	asm volatile("enclu"
		     : : "a"(SGX_EREPORT), "b"(target), "c"(data), "d"(report)
		     : "memory", "cc");
}

uint64_t enclave_egetkey(const struct sgx_keyrequest *request, uint8_t key[16])
{
	uint64_t rax = SGX_EGETKEY;

	asm volatile("enclu"
		     : "+a"(rax) : "b"(request), "c"(key) : "memory", "cc");
	return rax;
}

/* A report for nobody: no enclave can check its MAC, but its body is true. */
void enclave_identity(struct sgx_report *report)
{
	struct sgx_targetinfo nobody = { 0 };
	struct sgx_reportdata none = { 0 };

	enclave_ereport(&nobody, &none, report);
}

void enclave_as_target(const struct sgx_report *report,
		       struct sgx_targetinfo *target)
{
	memset(target, 0, sizeof(*target));
	memcpy(target->measurement, report->mrenclave, SGX_HASH_SIZE);
	target->attributes = report->attributes;
	target->xfrm = report->xfrm;
	target->cet_attributes = report->cet_attributes;
	target->config_svn = report->config_svn;
	target->miscselect = report->miscselect;
	memcpy(target->config_id, report->config_id, sizeof(target->config_id));
}

bool enclave_verify_report(const struct sgx_report *report)
{
	struct sgx_keyrequest request = { .keyname = SGX_KEY_REPORT };
	uint8_t key[16] __attribute__((aligned(16))), mac[16], difference = 0;
	int i;

	memcpy(request.key_id, report->key_id, sizeof(request.key_id));
	if (enclave_egetkey(&request, key) != SGX_SUCCESS)
		return false;
	aes_cmac(key, report, SGX_REPORT_MACED, mac);
	for (i = 0; i < 16; i++)
		difference |= mac[i] ^ report->mac[i];
	return difference == 0;
}

/* Compilers call these four even in freestanding code. */
void *memcpy(void *to, const void *from, size_t length)
{
	void *start = to;

	asm volatile("rep movsb"
		     : "+D"(to), "+S"(from), "+c"(length) : : "memory");
	return start;
}

void *memmove(void *to, const void *from, size_t length)
{
	uint8_t *target = to;
	const uint8_t *source = from;

	if (target - source >= (ptrdiff_t)length || target <= source)
		return memcpy(to, from, length);
	while (length--)
		target[length] = source[length];
	return to;
}

void *memset(void *p, int byte, size_t length)
{
	void *start = p;

	asm volatile("rep stosb"
		     : "+D"(p), "+c"(length) : "a"(byte) : "memory");
	return start;
}

int memcmp(const void *a, const void *b, size_t length)
{
	const uint8_t *x = a, *y = b;

	for (; length; length--, x++, y++)
		if (*x != *y)
			return *x - *y;
	return 0;
}

size_t strlen(const char *s)
{
	size_t length = 0;

	while (s[length])
		length++;
	return length;
}
