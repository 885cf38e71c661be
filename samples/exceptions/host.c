// SPDX-License-Identifier: Apache-2.0
/*
 * Exceptions inside an enclave. The processor saves the enclave's registers in
 * an SSA frame, leaves (an asynchronous exit), and the vDSO reports the vector
 * to its caller: no signal. The host may then enter the enclave a second time,
 * where its own handler repairs the frame, and resume what was interrupted.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "../lib/sample.h"
#include "ecalls.h"

static bool enter(struct enclave *e, uint32_t leaf, uint64_t rdi, uint64_t rsi,
		  uint64_t rdx, struct sgx_enclave_run *run, uint64_t *result)
{
	struct sgx_registers registers = { .rdi = rdi, .rsi = rsi, .rdx = rdx };
	int r = enclave_enter(e, 0, leaf, &registers, run);

	*result = registers.rdi;
	return r == 0;
}

static uint64_t ecall(struct enclave *e, enum exceptions_ecall number)
{
	uint64_t result = NOTHING_SEEN;

	if (enclave_ecall(e, 0, number, NULL, &result))
		check(false, "the ECALL came back");
	return result;
}

/* EENTER into something that faults; true if it did, as it should. */
static bool fault(struct enclave *e, uint64_t rdi, uint64_t rsi, uint64_t rdx,
		  unsigned int vector, struct sgx_enclave_run *run)
{
	uint64_t result;

	memset(run, 0, sizeof(*run));
	if (enter(e, SGX_EENTER, rdi, rsi, rdx, run, &result))
		return check(false, "the ECALL was interrupted");
	say("    The vDSO reports %s", enclave_describe(run));
	check(run->function == SGX_ERESUME,
	      "it happened inside the enclave: RAX is left as ERESUME");
	return check(run->exception_vector == vector, "the vector is %u",
		     vector);
}

static uint64_t handle(struct enclave *e)
{
	struct sgx_enclave_run run = { 0 };
	uint64_t result = NOTHING_SEEN;

	if (!enter(e, SGX_EENTER, 0, 0, 0, &run, &result))
		check(false, "the handler came back: %s",
		      enclave_describe(&run));
	return result;
}

static void resume(struct enclave *e, uint64_t wanted)
{
	struct sgx_enclave_run run = { 0 };
	uint64_t result = NOTHING_SEEN;

	if (!enter(e, SGX_ERESUME, 0, 0, 0, &run, &result))
		check(false, "the ECALL went on: %s", enclave_describe(&run));
	else
		check(result == wanted, "ERESUME: the ECALL ends with %llu",
		      (unsigned long long)result);
}

static void divide(struct enclave *e)
{
	struct sgx_enclave_run run;

	say("1. Division by zero: 1000 / 0");
	if (!fault(e, EXCEPTIONS_DIVIDE, 1000, 0, SGX_VECTOR_DE, &run))
		return;
	say("   A second EENTER: CSSA is 1, the enclave's handler runs");
	check(handle(e) == ENCLAVE_EXCEPTION_FIXED,
	      "it set the saved divisor to 1");
	resume(e, 1000);
	check(ecall(e, EXCEPTIONS_SEEN) == SGX_VECTOR_DE,
	      "the handler saw vector 0 in the frame's EXITINFO");
}

static void undefined(struct enclave *e)
{
	struct sgx_enclave_run run;

	say("2. An undefined instruction, UD2");
	if (!fault(e, EXCEPTIONS_UNDEFINED, 0, 0, SGX_VECTOR_UD, &run))
		return;
	check(handle(e) == ENCLAVE_EXCEPTION_FIXED,
	      "the handler moved the saved RIP behind it");
	resume(e, AFTER_UNDEFINED);
}

static bool protect(struct enclave *e, uint64_t page, int prot)
{
	return check(mprotect((void *)(e->base + page), SGX_PAGE_SIZE, prot) == 0,
		     "mprotect of the page at offset 0x%llx to %s",
		     (unsigned long long)page,
		     prot & PROT_WRITE ? "read and write" : "read only");
}

static void check_page_fault(struct enclave *e, uint64_t page,
			     const struct sgx_enclave_run *run)
{
	unsigned int code = run->exception_error_code;

	check(code & SGX_PF_WRITE && code & SGX_PF_USER,
	      "the error code says: a write, in user mode");
	check(!(code & SGX_PF_SGX),
	      "and not SGX: the page tables refused it, not the EPC");
	check(run->exception_addr == e->base + page,
	      "the address is the page's: the offset in it stays hidden");
}

/* What an enclave learns of a page fault depends on MISCSELECT. */
static void ask_handler(struct enclave *e)
{
	if (e->secs.miscselect & SGX_MISC_EXINFO)
		check(handle(e) == ENCLAVE_EXCEPTION_FIXED,
		      "the handler sees the fault in EXINFO");
	else
		check(handle(e) == ENCLAVE_EXCEPTION_NONE,
		      "without EXINFO the handler sees nothing");
}

static void page_fault(struct enclave *e)
{
	uint64_t page = ecall(e, EXCEPTIONS_PAGE);
	struct sgx_enclave_run run = { 0 };
	uint64_t result;

	say("3. A page fault of the host's making");
	check(enter(e, SGX_EENTER, EXCEPTIONS_WRITE, 1, 0, &run, &result) &&
	      result == 1, "a write to the page works");
	if (!protect(e, page, PROT_READ))
		return;
	if (!fault(e, EXCEPTIONS_WRITE, 2, 0, SGX_VECTOR_PF, &run))
		return;
	check_page_fault(e, page, &run);
	ask_handler(e);
	if (!protect(e, page, PROT_READ | PROT_WRITE))
		return;
	resume(e, 2);
	if (e->secs.miscselect & SGX_MISC_EXINFO)
		check((ecall(e, EXCEPTIONS_SEEN_ADDRESS) & -SGX_PAGE_SIZE) ==
		      page, "EXINFO told the enclave the address");
}

int main(int argc, char **argv)
{
	struct enclave_options options = { .exinfo = true };
	struct sample_arguments arguments;
	struct enclave enclave;
	int status = 1;

	sample_arguments(argc, argv, &arguments);
	options.debug = arguments.debug;
	if (!enclave_build(&enclave, arguments.enclave, &options)) {
		divide(&enclave);
		undefined(&enclave);
		page_fault(&enclave);
		status = sample_end();
	}
	enclave_destroy(&enclave);
	return status;
}
