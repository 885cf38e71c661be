/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Structures and constants of the SGX architecture (SDM vol. 3D), as the
 * processor reads and writes them. All fields are naturally aligned, so no
 * structure needs packing; the assertions below keep it that way.
 */
#ifndef SAMPLES_SGX_ARCH_H
#define SAMPLES_SGX_ARCH_H

#include <stddef.h>
#include <stdint.h>

#define SGX_PAGE_SIZE		4096ull
#define SGX_EEXTEND_CHUNK	256
#define SGX_MODULUS_SIZE	384
#define SGX_HASH_SIZE		32
#define SGX_KEY_SIZE		16

/* ENCLU leaves, the ones a sample meets. */
enum sgx_enclu_leaf {
	SGX_EREPORT	= 0,
	SGX_EGETKEY	= 1,
	SGX_EENTER	= 2,
	SGX_ERESUME	= 3,
	SGX_EEXIT	= 4,
	SGX_EACCEPT	= 5,
	SGX_EMODPE	= 6,
	SGX_EACCEPTCOPY	= 7,
	SGX_EDECCSSA	= 9,
};

/* Error codes that EGETKEY leaves in RAX, and some of EINIT's. */
enum sgx_error {
	SGX_SUCCESS			= 0,
	SGX_INVALID_SIG_STRUCT		= 1,
	SGX_INVALID_ATTRIBUTE		= 2,
	SGX_INVALID_MEASUREMENT		= 4,
	SGX_INVALID_SIGNATURE		= 8,
	SGX_PAGE_ATTRIBUTES_MISMATCH	= 19,
	SGX_INVALID_CPUSVN		= 32,
	SGX_INVALID_ISVSVN		= 64,
	SGX_INVALID_KEYNAME		= 256,
};

/* ATTRIBUTES.FLAGS */
#define SGX_ATTR_INIT		(1ull << 0)
#define SGX_ATTR_DEBUG		(1ull << 1)
#define SGX_ATTR_MODE64BIT	(1ull << 2)
#define SGX_ATTR_PROVISIONKEY	(1ull << 4)
#define SGX_ATTR_EINITTOKENKEY	(1ull << 5)
#define SGX_ATTR_KSS		(1ull << 7)
#define SGX_ATTR_AEXNOTIFY	(1ull << 10)

/* ATTRIBUTES.XFRM: the bits of XCR0 that an enclave may use. */
#define SGX_XFRM_X87		(1ull << 0)
#define SGX_XFRM_SSE		(1ull << 1)
#define SGX_XFRM_AVX		(1ull << 2)
#define SGX_XFRM_LEGACY		(SGX_XFRM_X87 | SGX_XFRM_SSE)

#define SGX_MISC_EXINFO		(1u << 0)

/* SECINFO.FLAGS: permissions, then the page type in bits 15:8. */
#define SGX_SECINFO_R		(1ull << 0)
#define SGX_SECINFO_W		(1ull << 1)
#define SGX_SECINFO_X		(1ull << 2)
#define SGX_SECINFO_SECS	(0ull << 8)
#define SGX_SECINFO_TCS		(1ull << 8)
#define SGX_SECINFO_REG		(2ull << 8)
#define SGX_SECINFO_VA		(3ull << 8)
#define SGX_SECINFO_TRIM	(4ull << 8)

/* Exception vectors, and the bits of a page fault's error code. */
#define SGX_VECTOR_DE		0
#define SGX_VECTOR_DB		1
#define SGX_VECTOR_BP		3
#define SGX_VECTOR_UD		6
#define SGX_VECTOR_GP		13
#define SGX_VECTOR_PF		14

#define SGX_PF_PRESENT		(1u << 0)
#define SGX_PF_WRITE		(1u << 1)
#define SGX_PF_USER		(1u << 2)
#define SGX_PF_INSTRUCTION	(1u << 4)
#define SGX_PF_SGX		(1u << 15)

struct sgx_secs {
	uint64_t size;
	uint64_t base;
	uint32_t ssa_frame_pages;
	uint32_t miscselect;
	uint8_t  reserved1[24];
	uint64_t attributes;
	uint64_t xfrm;
	uint8_t  mrenclave[SGX_HASH_SIZE];
	uint8_t  reserved2[32];
	uint8_t  mrsigner[SGX_HASH_SIZE];
	uint8_t  reserved3[32];
	uint8_t  config_id[64];
	uint16_t isv_prod_id;
	uint16_t isv_svn;
	uint16_t config_svn;
	uint8_t  reserved4[3834];
};

_Static_assert(offsetof(struct sgx_secs, attributes) == 48, "SECS");
_Static_assert(offsetof(struct sgx_secs, mrenclave) == 64, "SECS");
_Static_assert(offsetof(struct sgx_secs, mrsigner) == 128, "SECS");
_Static_assert(offsetof(struct sgx_secs, config_id) == 192, "SECS");
_Static_assert(offsetof(struct sgx_secs, isv_prod_id) == 256, "SECS");
_Static_assert(sizeof(struct sgx_secs) == 4096, "SECS");

struct sgx_secinfo {
	uint64_t flags;
	uint8_t  reserved[56];
} __attribute__((aligned(64)));

_Static_assert(sizeof(struct sgx_secinfo) == 64, "SECINFO");

#define SGX_TCS_DBGOPTIN		(1ull << 0)
#define SGX_TCS_AEXNOTIFY		(1ull << 1)

/* SECINFO.FLAGS of a page that SGX2 is changing. */
#define SGX_SECINFO_PENDING	(1ull << 3)
#define SGX_SECINFO_MODIFIED	(1ull << 4)
#define SGX_SECINFO_PR		(1ull << 5)

struct sgx_tcs {
	uint64_t state;		/* the processor's */
	uint64_t flags;
	uint64_t ossa;		/* offsets are from the enclave's base */
	uint32_t cssa;		/* the processor's */
	uint32_t nssa;
	uint64_t oentry;
	uint64_t aep;		/* the processor's */
	uint64_t ofsbase;
	uint64_t ogsbase;
	uint32_t fslimit;
	uint32_t gslimit;
	uint8_t  reserved[4024];
};

_Static_assert(offsetof(struct sgx_tcs, nssa) == 28, "TCS");
_Static_assert(offsetof(struct sgx_tcs, oentry) == 32, "TCS");
_Static_assert(offsetof(struct sgx_tcs, gslimit) == 68, "TCS");
_Static_assert(sizeof(struct sgx_tcs) == 4096, "TCS");

struct sgx_sigstruct {
	/* The first half of what is signed. */
	uint8_t  header[16];
	uint32_t vendor;
	uint32_t date;		/* yyyymmdd, binary coded decimal */
	uint8_t  header2[16];
	uint32_t swdefined;
	uint8_t  reserved1[84];
	/* The key and the signature; all numbers are little endian. */
	uint8_t  modulus[SGX_MODULUS_SIZE];
	uint32_t exponent;
	uint8_t  signature[SGX_MODULUS_SIZE];
	/* The second half of what is signed. */
	uint32_t miscselect;
	uint32_t miscmask;
	uint8_t  cet_attributes;
	uint8_t  cet_attributes_mask;
	uint8_t  reserved2[2];
	uint8_t  isv_family_id[16];
	uint64_t attributes;
	uint64_t xfrm;
	uint64_t attributes_mask;
	uint64_t xfrm_mask;
	uint8_t  mrenclave[SGX_HASH_SIZE];
	uint8_t  reserved3[16];
	uint8_t  isv_ext_prod_id[16];
	uint16_t isv_prod_id;
	uint16_t isv_svn;
	/* Unsigned. Q1 and Q2 spare the processor a long division. */
	uint8_t  reserved4[12];
	uint8_t  q1[SGX_MODULUS_SIZE];
	uint8_t  q2[SGX_MODULUS_SIZE];
};

_Static_assert(offsetof(struct sgx_sigstruct, modulus) == 128, "SIGSTRUCT");
_Static_assert(offsetof(struct sgx_sigstruct, exponent) == 512, "SIGSTRUCT");
_Static_assert(offsetof(struct sgx_sigstruct, miscselect) == 900, "SIGSTRUCT");
_Static_assert(offsetof(struct sgx_sigstruct, attributes) == 928, "SIGSTRUCT");
_Static_assert(offsetof(struct sgx_sigstruct, mrenclave) == 960, "SIGSTRUCT");
_Static_assert(offsetof(struct sgx_sigstruct, isv_prod_id) == 1024, "SIGSTRUCT");
_Static_assert(offsetof(struct sgx_sigstruct, q1) == 1040, "SIGSTRUCT");
_Static_assert(sizeof(struct sgx_sigstruct) == 1808, "SIGSTRUCT");

#define SGX_SIGSTRUCT_SIGNED1	offsetof(struct sgx_sigstruct, modulus)
#define SGX_SIGSTRUCT_SIGNED2	(offsetof(struct sgx_sigstruct, reserved4) - \
				 offsetof(struct sgx_sigstruct, miscselect))

_Static_assert(SGX_SIGSTRUCT_SIGNED1 == 128, "SIGSTRUCT");
_Static_assert(SGX_SIGSTRUCT_SIGNED2 == 128, "SIGSTRUCT");

struct sgx_targetinfo {
	uint8_t  measurement[SGX_HASH_SIZE];
	uint64_t attributes;
	uint64_t xfrm;
	uint8_t  cet_attributes;
	uint8_t  reserved1;
	uint16_t config_svn;
	uint32_t miscselect;
	uint8_t  reserved2[8];
	uint8_t  config_id[64];
	uint8_t  reserved3[384];
} __attribute__((aligned(512)));

_Static_assert(offsetof(struct sgx_targetinfo, miscselect) == 52, "TARGETINFO");
_Static_assert(sizeof(struct sgx_targetinfo) == 512, "TARGETINFO");

struct sgx_reportdata {
	uint8_t  bytes[64];
} __attribute__((aligned(128)));

struct sgx_report {
	uint8_t  cpu_svn[16];
	uint32_t miscselect;
	uint8_t  cet_attributes;
	uint8_t  reserved1[11];
	uint8_t  isv_ext_prod_id[16];
	uint64_t attributes;
	uint64_t xfrm;
	uint8_t  mrenclave[SGX_HASH_SIZE];
	uint8_t  reserved2[32];
	uint8_t  mrsigner[SGX_HASH_SIZE];
	uint8_t  reserved3[32];
	uint8_t  config_id[64];
	uint16_t isv_prod_id;
	uint16_t isv_svn;
	uint16_t config_svn;
	uint8_t  reserved4[42];
	uint8_t  isv_family_id[16];
	uint8_t  reportdata[64];
	/* The MAC covers everything above. */
	uint8_t  key_id[32];
	uint8_t  mac[16];
};

_Static_assert(offsetof(struct sgx_report, attributes) == 48, "REPORT");
_Static_assert(offsetof(struct sgx_report, mrenclave) == 64, "REPORT");
_Static_assert(offsetof(struct sgx_report, mrsigner) == 128, "REPORT");
_Static_assert(offsetof(struct sgx_report, isv_prod_id) == 256, "REPORT");
_Static_assert(offsetof(struct sgx_report, reportdata) == 320, "REPORT");
_Static_assert(offsetof(struct sgx_report, key_id) == 384, "REPORT");
_Static_assert(sizeof(struct sgx_report) == 432, "REPORT");

#define SGX_REPORT_MACED	offsetof(struct sgx_report, key_id)

enum sgx_keyname {
	SGX_KEY_EINITTOKEN	= 0,
	SGX_KEY_PROVISION	= 1,
	SGX_KEY_PROVISION_SEAL	= 2,
	SGX_KEY_REPORT		= 3,
	SGX_KEY_SEAL		= 4,
};

#define SGX_KEYPOLICY_MRENCLAVE	(1u << 0)
#define SGX_KEYPOLICY_MRSIGNER	(1u << 1)

struct sgx_keyrequest {
	uint16_t keyname;
	uint16_t keypolicy;
	uint16_t isv_svn;
	uint8_t  cet_attributes_mask;
	uint8_t  reserved1;
	uint8_t  cpu_svn[16];
	uint64_t attributes_mask;
	uint64_t xfrm_mask;
	uint8_t  key_id[32];
	uint32_t miscmask;
	uint16_t config_svn;
	uint8_t  reserved2[434];
} __attribute__((aligned(512)));

_Static_assert(offsetof(struct sgx_keyrequest, attributes_mask) == 24, "KEYREQUEST");
_Static_assert(offsetof(struct sgx_keyrequest, key_id) == 40, "KEYREQUEST");
_Static_assert(offsetof(struct sgx_keyrequest, miscmask) == 72, "KEYREQUEST");
_Static_assert(sizeof(struct sgx_keyrequest) == 512, "KEYREQUEST");

/* The last 184 bytes of an SSA frame. */
struct sgx_gprsgx {
	uint64_t rax;
	uint64_t rcx;
	uint64_t rdx;
	uint64_t rbx;
	uint64_t rsp;
	uint64_t rbp;
	uint64_t rsi;
	uint64_t rdi;
	uint64_t r8;
	uint64_t r9;
	uint64_t r10;
	uint64_t r11;
	uint64_t r12;
	uint64_t r13;
	uint64_t r14;
	uint64_t r15;
	uint64_t rflags;
	uint64_t rip;
	uint64_t ursp;		/* the host's RSP and RBP */
	uint64_t urbp;
	uint32_t exitinfo;
	uint8_t  reserved[3];
	uint8_t  aexnotify;
	uint64_t fsbase;
	uint64_t gsbase;
};

_Static_assert(offsetof(struct sgx_gprsgx, rip) == 136, "GPRSGX");
_Static_assert(offsetof(struct sgx_gprsgx, exitinfo) == 160, "GPRSGX");
_Static_assert(offsetof(struct sgx_gprsgx, aexnotify) == 167, "GPRSGX");
_Static_assert(offsetof(struct sgx_gprsgx, fsbase) == 168, "GPRSGX");
_Static_assert(sizeof(struct sgx_gprsgx) == 184, "GPRSGX");

#define SGX_AEXNOTIFY_ENABLED		1
#define SGX_EXITINFO_VECTOR(info)	((info) & 0xff)
#define SGX_EXITINFO_TYPE(info)		(((info) >> 8) & 7)
#define SGX_EXITINFO_VALID		(1u << 31)
#define SGX_EXITTYPE_HARDWARE		3
#define SGX_EXITTYPE_SOFTWARE		6

/* Just below GPRSGX when MISCSELECT.EXINFO is set: more about a #PF or #GP. */
struct sgx_exinfo {
	uint64_t maddr;
	uint32_t errcd;
	uint32_t reserved;
};

_Static_assert(sizeof(struct sgx_exinfo) == 16, "EXINFO");

#endif
