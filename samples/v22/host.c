// SPDX-License-Identifier: Apache-2.0
/*
 * A program of September 2019: it speaks the interface of the patch series v22,
 * which was not the one that Linux took in the end. Other device files, a page
 * at a time with a choice of what is measured of it, the right to the
 * provisioning key asked for by SET_ATTRIBUTE, and other errors. (It enters by
 * today's vDSO function.)
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../lib/report_error.h"
#include "../lib/sample.h"
#include "../lib/sample_key.h"
#include "../lib/sigstruct.h"
#include "ecalls.h"
#include "sgx_v22.h"

#define PAGE	SGX_PAGE_SIZE

/* How many pages were measured how. */
struct tally {
	unsigned int wholly;
	unsigned int partly;
	unsigned int not;
};

static sigjmp_buf after_fault;
static volatile uint64_t fault_address;
static volatile int fault_code;

/* An ioctl's result: 0, the negative errno, or a positive value. */
static int control(int fd, unsigned long command, void *argument)
{
	int r = ioctl(fd, command, argument);

	return r < 0 ? -errno : r;
}

static const char *outcome(int result)
{
	static char text[64];

	if (result < 0)
		snprintf(text, sizeof(text), "%s", strerrorname_np(-result));
	else if (result > 0)
		snprintf(text, sizeof(text), "SGX error code %d", result);
	else
		strcpy(text, "success");
	return text;
}

static bool expect(int result, int wanted, const char *what)
{
	return check(result == wanted, "%s: %s", what, outcome(result));
}

static int create(struct enclave *e)
{
	struct sgx_enclave_create create = { .src = (uint64_t)&e->secs };

	e->secs.base = e->base;
	return control(e->fd, SGX_IOC_ENCLAVE_CREATE, &create);
}

static int set_attribute(const struct enclave *e, int fd)
{
	struct sgx_enclave_set_attribute set = { .attribute_fd = fd };

	return control(e->fd, SGX_IOC_ENCLAVE_SET_ATTRIBUTE, &set);
}

static int add_page(const struct enclave *e, uint64_t offset, const void *src,
		    uint64_t secinfo_flags, uint16_t mrmask)
{
	struct sgx_secinfo secinfo = { .flags = secinfo_flags };
	struct sgx_enclave_add_page add = {
		.addr = e->base + offset, .src = (uint64_t)src,
		.secinfo = (uint64_t)&secinfo, .mrmask = mrmask,
	};

	return control(e->fd, SGX_IOC_ENCLAVE_ADD_PAGE, &add);
}

static int init(const struct enclave *e, const struct sgx_sigstruct *s)
{
	struct sgx_enclave_init init = { .sigstruct = (uint64_t)s };

	return control(e->fd, SGX_IOC_ENCLAVE_INIT, &init);
}

static bool is_zero(const uint8_t *p, size_t length)
{
	while (length && !*p) {
		p++;
		length--;
	}
	return length == 0;
}

/*
 * Code and constants count as a whole. Of data only the chunks that hold
 * something: what is not measured may be anything when the enclave starts, so
 * this is right only for an enclave that does not rely on zeros.
 */
static uint16_t mrmask_of(const struct enclave *e,
			  const struct enclave_region *r, uint64_t offset)
{
	uint16_t mask = 0;
	int i;

	if (!(r->secinfo_flags & SGX_SECINFO_W) &&
	    r->secinfo_flags != SGX_SECINFO_TCS)
		return 0xffff;
	for (i = 0; i < 16; i++)
		if (r->measured &&
		    !is_zero(e->source + offset + i * SGX_EEXTEND_CHUNK,
			     SGX_EEXTEND_CHUNK))
			mask |= 1u << i;
	return mask;
}

static void measure(struct enclave *e, uint64_t offset,
		    uint64_t secinfo_flags, uint16_t mrmask)
{
	struct sgx_secinfo secinfo = { .flags = secinfo_flags };
	int i;

	measure_eadd(&e->measurement, offset, &secinfo);
	for (i = 0; i < 16; i++)
		if (mrmask & 1u << i)
			measure_eextend(&e->measurement,
					offset + i * SGX_EEXTEND_CHUNK,
					e->source + offset +
					i * SGX_EEXTEND_CHUNK);
}

static void count(struct tally *tally, uint16_t mrmask)
{
	if (mrmask == 0xffff)
		tally->wholly++;
	else if (mrmask)
		tally->partly++;
	else
		tally->not++;
}

/* All pages, one a call, measured here as the processor measures them. */
static int add_all(struct enclave *e, struct tally *tally)
{
	const struct enclave_region *r;
	uint64_t offset;
	uint16_t mask;
	int result;

	memset(tally, 0, sizeof(*tally));
	measure_ecreate(&e->measurement, e->secs.ssa_frame_pages, e->size);
	for (r = e->regions; r < e->regions + e->nr_regions; r++) {
		for (offset = r->offset; offset < r->offset + r->size;
		     offset += PAGE) {
			mask = mrmask_of(e, r, offset);
			result = add_page(e, offset, e->source + offset,
					  r->secinfo_flags, mask);
			if (result)
				return result;
			measure(e, offset, r->secinfo_flags, mask);
			count(tally, mask);
		}
	}
	measure_final(&e->measurement, e->mrenclave);
	return 0;
}

/* In v22 the device itself is mapped, without access, to find an ELRANGE. */
static bool reserve(struct enclave *e)
{
	void *p = mmap(NULL, 2 * e->size, PROT_NONE, MAP_SHARED, e->fd, 0);
	uint64_t area = (uint64_t)p;

	if (!check(p != MAP_FAILED,
		   "mmap of the device with PROT_NONE finds 0x%llx bytes",
		   (unsigned long long)(2 * e->size)))
		return false;
	e->base = (area + e->size - 1) & ~(e->size - 1);
	if (e->base > area)
		munmap(p, e->base - area);
	munmap((void *)(e->base + e->size), area + e->size - e->base);
	return true;
}

static int open_device(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		report_errno("cannot open %s", path);
	return fd;
}

static bool prepare(struct enclave *e, const struct sample_arguments *arguments)
{
	struct enclave_options options = {
		.debug = arguments->debug, .isv_svn = 3,
		.attributes = SGX_ATTR_PROVISIONKEY,
	};

	enclave_zero(e);
	if (!sgx_cpu_detect(&e->cpu) || enclave_find_vdso() ||
	    enclave_load(e, arguments->enclave, &options))
		return false;
	e->fd = open_device("/dev/sgx/enclave");
	return e->fd >= 0;
}

static bool refuse_provisioning(const struct sample_arguments *arguments)
{
	struct enclave e;
	struct tally tally;
	bool built = false;

	say("1. An enclave with the attribute PROVISIONKEY, and no right to it");
	if (prepare(&e, arguments) && reserve(&e) &&
	    expect(create(&e), 0, "CREATE does not mind") &&
	    expect(add_all(&e, &tally), 0, "nor does ADD_PAGE") &&
	    !enclave_sign_measured(&e)) {
		expect(init(&e, &e.sigstruct), -EINVAL, "INIT refuses");
		expect(set_attribute(&e, e.fd), -EINVAL,
		       "SET_ATTRIBUTE with another file's descriptor");
		built = true;
	}
	enclave_destroy(&e);
	return built;
}

static void be_provisioned(const struct enclave *e)
{
	int fd;

	say("2. SET_ATTRIBUTE: to be able to open /dev/sgx/provision is the right");
	fd = open_device("/dev/sgx/provision");
	check(fd >= 0, "/dev/sgx/provision can be opened");
	expect(set_attribute(e, fd), 0, "SET_ATTRIBUTE, and before CREATE");
	close(fd);
}

static bool build(struct enclave *e)
{
	struct tally tally;

	say("3. CREATE: the kernel checks the SECS by itself");
	if (!reserve(e))
		return false;
	e->secs.reserved1[0] = 1;
	expect(create(e), -EINVAL, "a reserved byte that is not zero");
	e->secs.reserved1[0] = 0;
	if (!expect(create(e), 0, "as it should be"))
		return false;
	expect(create(e), -EINVAL, "a second time");

	say("4. ADD_PAGE: one page a call, by its address, measured by a mask");
	if (!expect(add_all(e, &tally), 0, "all pages"))
		return false;
	check(tally.wholly && tally.partly && tally.not,
	      "%u pages are measured wholly, %u in part, %u not at all",
	      tally.wholly, tally.partly, tally.not);
	expect(add_page(e, 0, e->source, SGX_SECINFO_REG | SGX_SECINFO_R, 0),
	       -EEXIST, "a page that exists");
	expect(add_page(e, e->size - PAGE, e->source + 64,
			SGX_SECINFO_REG | SGX_SECINFO_R, 0), -EINVAL,
	       "a source that is not aligned");
	expect(add_page(e, e->size - PAGE, e->source,
			SGX_SECINFO_TCS | SGX_SECINFO_R, 0), -EINVAL,
	       "a TCS with permissions");
	enclave_find_threads(e);
	return !enclave_sign_measured(e);
}

static int map(const struct enclave *e, uint64_t offset, uint64_t size,
	       int prot)
{
	void *p = mmap((void *)(e->base + offset), size, prot,
		       MAP_SHARED | MAP_FIXED, e->fd, 0);

	return p == MAP_FAILED ? -errno : 0;
}

static void map_absent(const struct enclave *e)
{
	uint64_t last = e->size - PAGE;	/* nothing was added there */

	say("5. mmap: no more than the pages may have, and none that is absent");
	expect(map(e, 0, PAGE, PROT_READ), 0, "the first page, to read");
	expect(map(e, 0, PAGE, PROT_READ | PROT_WRITE), -EACCES,
	       "the same, to write");
	expect(map(e, last, PAGE, PROT_READ), -EACCES, "an absent page");
	expect(map(e, 0, e->size, PROT_READ), -EACCES,
	       "a range with absent pages in it");
	expect(map(e, last, PAGE, PROT_NONE), 0, "an absent page, PROT_NONE");
	check(mprotect((void *)(e->base + last), PAGE, PROT_READ) &&
	      errno == EACCES, "and mprotect of it, to read: EACCES");
}

static void on_fault(int signal, siginfo_t *info, void *context)
{
	(void)context;
	fault_address = (uint64_t)info->si_addr;
	fault_code = info->si_code;
	siglongjmp(after_fault, signal);
}

/* The signal that a read of an address raises; 0 if none does. */
static int touch(uint64_t address)
{
	struct sigaction old_bus, old_segv, action = {
		.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO,
	};
	int signal;

	sigaction(SIGBUS, &action, &old_bus);
	sigaction(SIGSEGV, &action, &old_segv);
	signal = sigsetjmp(after_fault, 1);
	if (!signal)
		(void)*(volatile uint8_t *)address;
	sigaction(SIGBUS, &old_bus, NULL);
	sigaction(SIGSEGV, &old_segv, NULL);
	return signal;
}

static void touch_too_early(struct enclave *e)
{
	struct sgx_registers registers = { .rdi = V22_PROVISION_KEY };
	struct sgx_enclave_run run = { 0 };
	uint64_t address = e->base + 0x123;
	int signal = touch(address);
	int r;

	say("6. Before INIT no page can be touched");
	check(signal == SIGBUS && fault_code == BUS_ADRERR &&
	      fault_address == address,
	      "a read raises SIG%s at address 0x%llx",
	      signal ? sigabbrev_np(signal) : "nothing",
	      (unsigned long long)fault_address);
	if (enclave_map(e))
		return;
	r = enclave_enter(e, 0, SGX_EENTER, &registers, &run);
	check(r == 1 && run.function == SGX_EENTER &&
	      run.exception_vector == SGX_VECTOR_PF &&
	      run.exception_addr == e->tcs[0],
	      "EENTER does not find the TCS: %s", enclave_describe(&run));
}

static bool initialize(struct enclave *e)
{
	struct sgx_sigstruct s = e->sigstruct;

	say("7. INIT: what EINIT says is returned as it is, a positive number");
	s.signature[0] ^= 1;
	expect(init(e, &s), SGX_INVALID_SIGNATURE, "a wrong signature");
	s = e->sigstruct;
	s.mrenclave[0] ^= 1;
	expect(sigstruct_sign(&s, &sample_public_test_key) ? init(e, &s) : 0,
	       SGX_INVALID_MEASUREMENT, "a signature for another enclave");
	s = e->sigstruct;
	s.vendor = 1;
	expect(sigstruct_sign(&s, &sample_public_test_key) ? init(e, &s) : 0,
	       SGX_INVALID_SIG_STRUCT, "a vendor that does not exist");
	if (!expect(init(e, &e->sigstruct), 0, "the right signature"))
		return false;
	expect(init(e, &e->sigstruct), -EFAULT, "a second time");
	expect(add_page(e, e->size - PAGE, e->source,
			SGX_SECINFO_REG | SGX_SECINFO_R, 0), -EFAULT,
	       "ADD_PAGE after INIT");
	return true;
}

static bool call(struct enclave *e, enum v22_ecall number, void *argument,
		 uint64_t *result)
{
	return check(!enclave_ecall(e, 0, number, argument, result),
		     "the ECALL came back");
}

static void enter(struct enclave *e)
{
	struct sgx_report report = { 0 };
	uint64_t result;

	say("8. The enclave runs, in the mappings that were there before INIT");
	if (!call(e, V22_REPORT, &report, &result))
		return;
	check(result == 'm', "it finds the part of its data that was measured");
	say_bytes("MRENCLAVE", report.mrenclave, SGX_HASH_SIZE);
	check(!memcmp(report.mrenclave, e->mrenclave, SGX_HASH_SIZE),
	      "the processor measured what the masks say");
	check(report.attributes & SGX_ATTR_PROVISIONKEY,
	      "ATTRIBUTES are 0x%llx: PROVISIONKEY is among them",
	      (unsigned long long)report.attributes);
	if (call(e, V22_PROVISION_KEY, NULL, &result))
		check(result == SGX_SUCCESS,
		      "and EGETKEY gives the provisioning key");
}

int main(int argc, char **argv)
{
	struct sample_arguments arguments;
	struct enclave enclave;
	int status = 1;

	sample_arguments(argc, argv, &arguments);
	if (!refuse_provisioning(&arguments))
		return 1;
	if (prepare(&enclave, &arguments)) {
		be_provisioned(&enclave);
		if (build(&enclave)) {
			map_absent(&enclave);
			touch_too_early(&enclave);
			if (initialize(&enclave))
				enter(&enclave);
		}
		status = sample_end();
	}
	enclave_destroy(&enclave);
	return status;
}
