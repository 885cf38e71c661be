// SPDX-License-Identifier: Apache-2.0
/*
 * The smallest complete SGX program: build an enclave, call it, and have it
 * prove who it is.
 */
#include <string.h>

#include "../lib/sample.h"
#include "ecalls.h"

static void describe_processor(const struct sgx_cpu *cpu)
{
	say("1. The processor");
	say("    SGX1%s, enclaves of up to 2^%u bytes, %llu KiB of EPC",
	    cpu->sgx2 ? " and SGX2" : "", cpu->size_log2,
	    (unsigned long long)(cpu->epc_bytes / 1024));
}

static void describe_enclave(const struct enclave *e, const char *path)
{
	const struct enclave_region *r;

	say("2. The enclave: %s", path);
	say("    ELRANGE 0x%llx, 0x%llx bytes; offsets and pages:",
	    (unsigned long long)e->base, (unsigned long long)e->size);
	for (r = e->regions; r < e->regions + e->nr_regions; r++)
		say("    %6llx  %3llu  %c%c%c  %s",
		    (unsigned long long)r->offset,
		    (unsigned long long)(r->size / SGX_PAGE_SIZE),
		    r->secinfo_flags & SGX_SECINFO_R ? 'r' : '-',
		    r->secinfo_flags & SGX_SECINFO_W ? 'w' : '-',
		    r->secinfo_flags & SGX_SECINFO_X ? 'x' : '-', r->name);
	say("    What went into it, as the loader hashed it, and who signed it:");
	say_bytes("MRENCLAVE", e->mrenclave, SGX_HASH_SIZE);
	say_bytes("MRSIGNER", e->mrsigner, SGX_HASH_SIZE);
	say("    ATTRIBUTES 0x%llx%s, XFRM 0x%llx, MISCSELECT 0x%x",
	    (unsigned long long)e->secs.attributes,
	    e->secs.attributes & SGX_ATTR_DEBUG ? " (debug)" : "",
	    (unsigned long long)e->secs.xfrm, e->secs.miscselect);
}

static bool call(struct enclave *e, enum hello_ecall number, void *argument,
		 enum hello_result wanted)
{
	uint64_t result;

	if (enclave_ecall(e, 0, number, argument, &result))
		return check(false, "the ECALL came back");
	return check(result == wanted, "the ECALL came back with %llu",
		     (unsigned long long)result);
}

static void call_sum(struct enclave *e)
{
	uint64_t numbers[100], i;
	char greeting[96] = "";
	struct hello_sum sum = {
		.numbers = numbers, .count = 100,
		.greeting = greeting, .greeting_size = sizeof(greeting),
	};

	say("3. An ECALL: add up the numbers from 1 to 100, found by a pointer");
	for (i = 0; i < 100; i++)
		numbers[i] = i + 1;
	if (!call(e, HELLO_SUM, &sum, HELLO_OK))
		return;
	check(sum.sum == 5050, "the sum is %llu", (unsigned long long)sum.sum);
	check(!strcmp(greeting,
		      "Hello from inside: 100 numbers add up to 5050"),
	      "the enclave wrote: %s", greeting);

	say("4. The same, with a pointer into the enclave: it must refuse");
	sum.numbers = (const void *)e->base;
	call(e, HELLO_SUM, &sum, HELLO_BAD_POINTER);
}

static void check_identity(const struct enclave *e, const struct sgx_report *r)
{
	check(!memcmp(r->mrenclave, e->mrenclave, SGX_HASH_SIZE),
	      "the processor measured the same MRENCLAVE");
	check(!memcmp(r->mrsigner, e->mrsigner, SGX_HASH_SIZE),
	      "the processor knows the same MRSIGNER");
	check(r->attributes == (e->secs.attributes | SGX_ATTR_INIT),
	      "ATTRIBUTES are 0x%llx: as created, and INIT",
	      (unsigned long long)r->attributes);
	check(r->xfrm == e->secs.xfrm && r->miscselect == e->secs.miscselect,
	      "XFRM and MISCSELECT are as created");
	check(r->isv_prod_id == e->sigstruct.isv_prod_id &&
	      r->isv_svn == e->sigstruct.isv_svn,
	      "ISVPRODID is %u and ISVSVN is %u, as signed", r->isv_prod_id,
	      r->isv_svn);
}

static void call_report(struct enclave *e)
{
	struct hello_report call_data = { .data = "what the host says" };
	struct sgx_report *r = &call_data.report;

	say("5. EREPORT: the processor states who the enclave is");
	if (!call(e, HELLO_REPORT, &call_data, HELLO_OK))
		return;
	check_identity(e, r);
	check(!memcmp(r->reportdata, call_data.data, 64),
	      "the report carries the data it was given");
	say_bytes("CPUSVN", r->cpu_svn, sizeof(r->cpu_svn));
	say_bytes("MAC", r->mac, sizeof(r->mac));

	say("6. EGETKEY: the enclave fetches the report key and checks the MAC");
	call(e, HELLO_VERIFY, r, HELLO_OK);
	say("7. One bit of the report changed: the MAC must no longer fit");
	r->mrsigner[0] ^= 1;
	call(e, HELLO_VERIFY, r, HELLO_FALSE);
}

int main(int argc, char **argv)
{
	struct enclave_options options = { .isv_prod_id = 1, .isv_svn = 2 };
	struct sample_arguments arguments;
	struct enclave enclave;
	int status = 1;

	sample_arguments(argc, argv, &arguments);
	options.debug = arguments.debug;
	if (!enclave_build(&enclave, arguments.enclave, &options)) {
		describe_processor(&enclave.cpu);
		describe_enclave(&enclave, arguments.enclave);
		call_sum(&enclave);
		call_report(&enclave);
		status = sample_end();
	}
	enclave_destroy(&enclave);
	return status;
}
