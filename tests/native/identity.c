// SPDX-License-Identifier: Apache-2.0
/* EREPORT and EGETKEY: who an enclave is, and which keys follow from that. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "support.h"

static const struct enclave_options usual = {
	.exinfo = true, .isv_prod_id = 7, .isv_svn = 3,
};

static uint8_t current_svn[16];		/* CPUSVN, as reports tell it */

static void make_report(struct enclave *e, struct test_report *r)
{
	uint64_t result = 0;

	if (!test_call(e, 0, TEST_REPORT, (uint64_t)r, 0, &result) ||
	    result != TEST_MAGIC)
		give_up("EREPORT failed");
}

static bool verifies(struct enclave *e, const struct sgx_report *report)
{
	uint64_t result = 0;

	if (!test_call(e, 0, TEST_VERIFY, (uint64_t)report, 0, &result))
		give_up("EGETKEY of the report key failed");
	return result;
}

static bool all_zero(const void *p, size_t length)
{
	const uint8_t *byte = p;

	while (length--)
		if (*byte++)
			return false;
	return true;
}

/*
 * Reports.
 */

static void test_report_body(struct enclave *e)
{
	struct test_report r = { .to_self = 1 };
	struct sgx_report *report = &r.report;

	memset(r.data, 0x5a, sizeof(r.data));
	make_report(e, &r);
	memcpy(current_svn, report->cpu_svn, 16);
	expect_bytes(report->mrenclave, e->mrenclave, SGX_HASH_SIZE,
		     "report: MRENCLAVE is the loader's");
	expect_bytes(report->mrsigner, e->mrsigner, SGX_HASH_SIZE,
		     "report: MRSIGNER is the hash of the modulus");
	expect_hex(report->attributes, e->secs.attributes | SGX_ATTR_INIT,
		   "report: ATTRIBUTES");
	expect_hex(report->xfrm, e->secs.xfrm, "report: XFRM");
	expect_hex(report->miscselect, e->secs.miscselect, "report: MISCSELECT");
	expect(report->isv_prod_id, 7, "report: ISVPRODID");
	expect(report->isv_svn, 3, "report: ISVSVN");
	expect_bytes(report->reportdata, r.data, 64, "report: REPORTDATA");
	expect_true(!all_zero(report->cpu_svn, 16), "report: a CPUSVN");
	expect_true(all_zero(report->reserved1, sizeof(report->reserved1)) &&
		    all_zero(report->reserved2, sizeof(report->reserved2)) &&
		    all_zero(report->reserved3, sizeof(report->reserved3)) &&
		    all_zero(report->reserved4, sizeof(report->reserved4)),
		    "report: reserved fields are zero");
	expect_true(all_zero(report->config_id, 64) && !report->config_svn,
		    "report: no CONFIGID without KSS");
	expect_true(verifies(e, report), "report: its MAC verifies");
}

/* Every byte of the body and the MAC counts; so does KEYID, by way of the key. */
static void test_report_tampering(struct enclave *e)
{
	struct test_report r = { .to_self = 1 };
	unsigned int i, accepted = 0;
	uint8_t *bytes = (uint8_t *)&r.report;

	make_report(e, &r);
	for (i = 0; i < sizeof(r.report); i++) {
		bytes[i] ^= 1 << i % 8;
		if (verifies(e, &r.report)) {
			printf("# byte %u changed\n", i);
			accepted++;
		}
		bytes[i] ^= 1 << i % 8;
	}
	expect(accepted, 0, "report: one bit of each byte changed");
	expect_true(verifies(e, &r.report), "report: and back again");
}

static void target_of(struct enclave *e, struct sgx_targetinfo *target)
{
	memset(target, 0, sizeof(*target));
	memcpy(target->measurement, e->mrenclave, SGX_HASH_SIZE);
	target->attributes = e->secs.attributes | SGX_ATTR_INIT;
	target->xfrm = e->secs.xfrm;
	target->miscselect = e->secs.miscselect;
}

static void test_report_targets(struct enclave *a, struct enclave *b)
{
	struct test_report r = { 0 };

	target_of(b, &r.target);
	make_report(a, &r);
	expect_true(verifies(b, &r.report), "report: for another, who verifies it");
	expect_true(!verifies(a, &r.report), "report: for another, not oneself");
	expect_bytes(r.report.mrenclave, a->mrenclave, SGX_HASH_SIZE,
		     "report: for another, of oneself");

	r.target.measurement[0] ^= 1;
	make_report(a, &r);
	expect_true(!verifies(b, &r.report), "report: for another MRENCLAVE");
	r.target.measurement[0] ^= 1;
	r.target.attributes ^= SGX_ATTR_DEBUG;
	make_report(a, &r);
	expect_true(!verifies(b, &r.report), "report: for other ATTRIBUTES");
	r.target.attributes ^= SGX_ATTR_DEBUG;
	r.target.miscselect ^= 1;
	make_report(a, &r);
	expect_true(!verifies(b, &r.report), "report: for another MISCSELECT");
	r.target.miscselect ^= 1;
	make_report(a, &r);
	expect_true(verifies(b, &r.report), "report: for the right one again");
}

/*
 * Keys.
 */

static struct sgx_keyrequest seal(unsigned int policy)
{
	struct sgx_keyrequest request = {
		.keyname = SGX_KEY_SEAL, .keypolicy = policy,
		.attributes_mask = ~0ull, .xfrm_mask = ~0ull, .miscmask = ~0u,
	};

	memcpy(request.cpu_svn, current_svn, 16);
	return request;
}

static uint64_t get_key(struct enclave *e, const struct sgx_keyrequest *request,
			uint8_t key[16])
{
	struct test_getkey call = { .request = *request, .error = 0x5555 };
	uint64_t result = 0;

	if (!test_call(e, 0, TEST_GETKEY, (uint64_t)&call, 0, &result) ||
	    result != TEST_MAGIC)
		give_up("EGETKEY faulted");
	memcpy(key, call.key, 16);
	return call.error;
}

/* Whether two requests give the same key; -1 if one of them gives none. */
static int same_key(struct enclave *a, const struct sgx_keyrequest *first,
		    struct enclave *b, const struct sgx_keyrequest *second)
{
	uint8_t x[16], y[16];

	if (get_key(a, first, x) || get_key(b, second, y))
		return -1;
	return !memcmp(x, y, 16);
}

static void test_seal(struct enclave *e)
{
	struct sgx_keyrequest by_enclave = seal(SGX_KEYPOLICY_MRENCLAVE);
	struct sgx_keyrequest by_signer = seal(SGX_KEYPOLICY_MRSIGNER);
	struct sgx_keyrequest by_both = seal(3), by_none = seal(0), other;
	uint8_t key[16];

	expect(get_key(e, &by_enclave, key), SGX_SUCCESS, "seal key: succeeds");
	expect_true(!all_zero(key, 16), "seal key: is not zero");
	expect(same_key(e, &by_enclave, e, &by_enclave), 1, "seal key: twice the same");
	expect(same_key(e, &by_enclave, e, &by_signer), 0,
	       "seal key: MRENCLAVE and MRSIGNER differ");
	expect(same_key(e, &by_both, e, &by_signer), 0,
	       "seal key: both and MRSIGNER differ");
	expect(same_key(e, &by_both, e, &by_enclave), 0,
	       "seal key: both and MRENCLAVE differ");
	expect(same_key(e, &by_none, e, &by_signer), 0,
	       "seal key: none and MRSIGNER differ");
	other = by_signer;
	other.key_id[31] = 1;
	expect(same_key(e, &by_signer, e, &other), 0, "seal key: KEYID counts");
	other = by_signer;
	other.isv_svn = 2;
	expect(same_key(e, &by_signer, e, &other), 0, "seal key: ISVSVN counts");
	other = by_signer;
	memset(other.cpu_svn, 0, 16);
	expect(same_key(e, &by_signer, e, &other), 0, "seal key: CPUSVN counts");
	other = by_signer;
	other.attributes_mask = 0;
	expect(same_key(e, &by_signer, e, &other), 0,
	       "seal key: the mask of ATTRIBUTES counts");
	other = by_signer;
	other.miscmask = 0;
	expect(same_key(e, &by_signer, e, &other), 0,
	       "seal key: the mask of MISCSELECT counts");
}

/* Enclaves that differ in one thing each. */
static void test_seal_between(struct enclave *a)
{
	struct enclave_options options = usual;
	struct sgx_keyrequest by_enclave = seal(SGX_KEYPOLICY_MRENCLAVE);
	struct sgx_keyrequest by_signer = seal(SGX_KEYPOLICY_MRSIGNER);
	struct sgx_keyrequest no_mask = by_signer;
	struct enclave b;

	test_enclave(&b, &options);
	expect(same_key(a, &by_enclave, &b, &by_enclave), 1,
	       "seal key: the same enclave, loaded twice");
	enclave_destroy(&b);

	options.heap_pages = 3;
	test_enclave(&b, &options);
	expect(same_key(a, &by_signer, &b, &by_signer), 1,
	       "seal key: another enclave of the same signer");
	expect(same_key(a, &by_enclave, &b, &by_enclave), 0,
	       "seal key: another enclave, by MRENCLAVE");
	enclave_destroy(&b);

	options = usual;
	options.isv_prod_id = 8;
	test_enclave(&b, &options);
	expect(same_key(a, &by_signer, &b, &by_signer), 0,
	       "seal key: another product of the same signer");
	enclave_destroy(&b);

	options = usual;
	options.isv_svn = 9;
	test_enclave(&b, &options);
	expect(same_key(a, &by_signer, &b, &by_signer), 1,
	       "seal key: a newer version gets the older one's");
	enclave_destroy(&b);

	options = usual;
	options.debug = true;
	test_enclave(&b, &options);
	no_mask.attributes_mask = 0;
	expect(same_key(a, &by_signer, &b, &by_signer), 0,
	       "seal key: DEBUG counts");
	expect(same_key(a, &no_mask, &b, &no_mask), 0,
	       "seal key: DEBUG counts under any mask");
	enclave_destroy(&b);
}

static void expect_error(struct enclave *e,
			 const struct sgx_keyrequest *request, uint64_t wanted,
			 const char *name)
{
	uint8_t key[16];

	expect(get_key(e, request, key), wanted, "EGETKEY: %s", name);
	if (wanted)
		expect_true(all_zero(key, 16), "EGETKEY: %s, no key", name);
}

static void test_errors(struct enclave *e)
{
	struct sgx_keyrequest request = seal(SGX_KEYPOLICY_MRSIGNER);

	request.keyname = 5;
	expect_error(e, &request, SGX_INVALID_KEYNAME, "key name 5");
	request.keyname = 0xffff;
	expect_error(e, &request, SGX_INVALID_KEYNAME, "key name 0xffff");
	request.keyname = SGX_KEY_PROVISION;
	expect_error(e, &request, SGX_INVALID_ATTRIBUTE,
		     "provisioning key without the attribute");
	request.keyname = SGX_KEY_PROVISION_SEAL;
	expect_error(e, &request, SGX_INVALID_ATTRIBUTE,
		     "provisioning seal key without the attribute");
	request.keyname = SGX_KEY_EINITTOKEN;
	expect_error(e, &request, SGX_INVALID_ATTRIBUTE,
		     "token key without the attribute");

	request = seal(SGX_KEYPOLICY_MRSIGNER);
	request.isv_svn = 3;
	expect_error(e, &request, SGX_SUCCESS, "the current ISVSVN");
	request.isv_svn = 4;
	expect_error(e, &request, SGX_INVALID_ISVSVN, "a later ISVSVN");
	request = seal(SGX_KEYPOLICY_MRSIGNER);
	memset(request.cpu_svn, 0, 16);
	expect_error(e, &request, SGX_SUCCESS, "an earlier CPUSVN");
	memset(request.cpu_svn, 0xff, 16);
	expect_error(e, &request, SGX_INVALID_CPUSVN, "a later CPUSVN");
}

static void expect_bad_request(struct enclave *e,
			       const struct sgx_keyrequest *request,
			       const char *name)
{
	struct test_getkey call = { .request = *request };

	expect_exception(e, fresh_thread(e), TEST_GETKEY, (uint64_t)&call, 0,
			 SGX_VECTOR_GP, 0, 0, name);
}

static void test_reserved(struct enclave *e)
{
	struct sgx_keyrequest good = seal(SGX_KEYPOLICY_MRSIGNER), request;

	request = good;
	request.reserved1 = 1;
	expect_bad_request(e, &request, "EGETKEY: reserved byte 7");
	request = good;
	request.reserved2[0] = 1;
	expect_bad_request(e, &request, "EGETKEY: reserved byte 78");
	request = good;
	request.reserved2[433] = 1;
	expect_bad_request(e, &request, "EGETKEY: reserved byte 511");
	request = good;
	request.keypolicy |= 1 << 6;
	expect_bad_request(e, &request, "EGETKEY: reserved policy bit 6");
	request = good;
	request.keypolicy |= 1 << 15;
	expect_bad_request(e, &request, "EGETKEY: reserved policy bit 15");
	request = good;
	request.keypolicy |= 1 << 3;
	expect_bad_request(e, &request, "EGETKEY: CONFIGID policy without KSS");
}

/* With the attribute, which the provisioning device gives. */
static void test_provisioning(struct enclave *ordinary)
{
	struct sgx_keyrequest request = seal(SGX_KEYPOLICY_MRSIGNER);
	struct sgx_enclave_provision provision;
	struct enclave_options options = usual;
	struct enclave e;
	uint8_t key[16], other[16];
	int fd = open("/dev/sgx_provision", O_RDWR);

	options.attributes = SGX_ATTR_PROVISIONKEY;
	enclave_zero(&e);
	provision.fd = fd;
	if (fd < 0 || !sgx_cpu_detect(&e.cpu) ||
	    enclave_load(&e, enclave_beside_program("test.enclave"), &options) ||
	    (e.fd = enclave_open_device()) < 0 || enclave_reserve(&e) ||
	    enclave_create(&e) ||
	    ioctl(e.fd, SGX_IOC_ENCLAVE_PROVISION, &provision) ||
	    enclave_add_pages(&e) || enclave_sign(&e) || enclave_init(&e) ||
	    enclave_map(&e))
		give_up("a provisioning enclave cannot be built");
	e.tcs[e.threads++] = e.base + e.config.threads_offset +
			     e.config.thread_size - PAGE;

	request.keyname = SGX_KEY_PROVISION;
	expect(get_key(&e, &request, key), SGX_SUCCESS, "provisioning key");
	expect_true(!all_zero(key, 16), "provisioning key: is not zero");
	request.key_id[0] = 1;
	get_key(&e, &request, other);
	expect_bytes(other, key, 16, "provisioning key: KEYID does not count");
	request.keyname = SGX_KEY_PROVISION_SEAL;
	expect(get_key(&e, &request, other), SGX_SUCCESS, "provisioning seal key");
	expect_true(memcmp(key, other, 16), "provisioning keys differ");
	request = seal(SGX_KEYPOLICY_MRSIGNER);
	expect(same_key(&e, &request, ordinary, &request), 0,
	       "seal key: PROVISIONKEY counts");
	enclave_destroy(&e);
	close(fd);
}

/*
 * Operands.
 */

static void expect_enclu(struct enclave *e, unsigned int leaf, uint64_t rbx,
			 uint64_t rcx, uint64_t rdx, unsigned int vector,
			 uint64_t address, const char *name)
{
	struct sgx_registers registers = {
		.rdi = TEST_ENCLU, .rsi = leaf, .rdx = rbx, .r8 = rcx, .r9 = rdx,
	};
	struct sgx_enclave_run run = { 0 };

	expect(enclave_enter(e, fresh_thread(e), SGX_EENTER, &registers, &run), 1,
	       "%s: interrupted", name);
	expect(run.function, SGX_ERESUME, "%s: function", name);
	expect(run.exception_vector, vector, "%s: vector", name);
	expect_hex(run.exception_addr, address, "%s: address", name);
}

static void test_getkey_operands(struct enclave *e)
{
	uint64_t arena = test_address(e, PLACE_ARENA), key = arena + PAGE;
	uint64_t guard = test_address(e, PLACE_GUARD);
	uint64_t constant = test_address(e, PLACE_CONSTANT) & -PAGE;
	uint64_t outside = (uint64_t)ordinary_page();

	expect_enclu(e, SGX_EGETKEY, arena + 8, key, 0, SGX_VECTOR_GP, 0,
		     "EGETKEY: request not aligned");
	expect_enclu(e, SGX_EGETKEY, arena, key + 8, 0, SGX_VECTOR_GP, 0,
		     "EGETKEY: key not aligned");
	expect_enclu(e, SGX_EGETKEY, outside, key, 0, SGX_VECTOR_GP, 0,
		     "EGETKEY: request outside");
	expect_enclu(e, SGX_EGETKEY, arena, outside, 0, SGX_VECTOR_GP, 0,
		     "EGETKEY: key outside");
	expect_enclu(e, SGX_EGETKEY, 1ull << 63, key, 0, SGX_VECTOR_GP, 0,
		     "EGETKEY: request not canonical");
	expect_enclu(e, SGX_EGETKEY, guard, key, 0, SGX_VECTOR_PF, guard,
		     "EGETKEY: request in an absent page");
	expect_enclu(e, SGX_EGETKEY, arena, guard, 0, SGX_VECTOR_PF, guard,
		     "EGETKEY: key in an absent page");
	expect_enclu(e, SGX_EGETKEY, arena, constant, 0, SGX_VECTOR_PF, constant,
		     "EGETKEY: key in a page of r--");
}

static void test_report_operands(struct enclave *e)
{
	uint64_t target = test_address(e, PLACE_ARENA), data = target + 1024;
	uint64_t report = target + PAGE, guard = test_address(e, PLACE_GUARD);
	uint64_t constant = test_address(e, PLACE_CONSTANT) & -PAGE;
	uint64_t outside = (uint64_t)ordinary_page();

	expect_enclu(e, SGX_EREPORT, target + 8, data, report, SGX_VECTOR_GP, 0,
		     "EREPORT: target not aligned");
	expect_enclu(e, SGX_EREPORT, target, data + 64, report, SGX_VECTOR_GP, 0,
		     "EREPORT: data not aligned");
	expect_enclu(e, SGX_EREPORT, target, data, report + 256, SGX_VECTOR_GP, 0,
		     "EREPORT: report not aligned");
	expect_enclu(e, SGX_EREPORT, outside, data, report, SGX_VECTOR_GP, 0,
		     "EREPORT: target outside");
	expect_enclu(e, SGX_EREPORT, target, outside, report, SGX_VECTOR_GP, 0,
		     "EREPORT: data outside");
	expect_enclu(e, SGX_EREPORT, target, data, outside, SGX_VECTOR_GP, 0,
		     "EREPORT: report outside");
	expect_enclu(e, SGX_EREPORT, guard, data, report, SGX_VECTOR_PF, guard,
		     "EREPORT: target in an absent page");
	expect_enclu(e, SGX_EREPORT, target, guard, report, SGX_VECTOR_PF, guard,
		     "EREPORT: data in an absent page");
	expect_enclu(e, SGX_EREPORT, target, data, guard, SGX_VECTOR_PF, guard,
		     "EREPORT: report in an absent page");
	expect_enclu(e, SGX_EREPORT, target, data, constant, SGX_VECTOR_PF,
		     constant, "EREPORT: report in a page of r--");
}

int main(void)
{
	struct enclave_options other = usual;
	struct enclave a, b;

	test_enclave(&a, &usual);
	other.heap_pages = 1;
	test_enclave(&b, &other);
	test_report_body(&a);
	test_report_tampering(&a);
	test_report_targets(&a, &b);
	enclave_destroy(&b);

	test_seal(&a);
	test_seal_between(&a);
	test_provisioning(&a);
	enclave_destroy(&a);

	test_enclave(&a, &usual);
	test_errors(&a);
	test_reserved(&a);
	test_getkey_operands(&a);
	test_report_operands(&a);
	enclave_destroy(&a);
	return done();
}
