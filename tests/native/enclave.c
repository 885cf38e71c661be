// SPDX-License-Identifier: Apache-2.0
/*
 * The enclave of the tests. It does what the host asks, however unwise: read,
 * write and jump anywhere, execute any ENCLU. No enclave for a secret.
 */
#include "../../samples/lib/enclave_rt.h"
#include "ecalls.h"

ENCLAVE_CONFIG(48, 3, 0);

struct held_state {
	uint32_t mxcsr;
	uint32_t fcw;
	uint64_t registers[15];		/* one is left over */
	double x87[8];
	uint64_t vectors[16][4];
};

_Static_assert(offsetof(struct held_state, x87) == 0x80, "held_state");
_Static_assert(offsetof(struct held_state, vectors) == 0xc0, "held_state");

void hold_state(const struct held_state *in, struct held_state *out,
		volatile uint32_t *flag);
void hold_state_avx(const struct held_state *in, struct held_state *out,
		    volatile uint32_t *flag);

struct wide_state {
	uint8_t vectors[32][64];
	uint64_t masks[8];
};

void hold_state_avx512(const struct wide_state *in, struct wide_state *out,
		       volatile uint32_t *flag);
uint64_t hold_flags(uint64_t flags, volatile uint32_t *flag);
void notified_return(struct sgx_gprsgx *state, const void *xsave);

static uint8_t arena[8192] __attribute__((section(".data.page"), aligned(4096)));
static uint64_t counter;

/* Behind the instruction that may fault; a test enters by one TCS at a time. */
static uint64_t recovery;

#define RECOVER_AT(label) \
	"lea " label "(%%rip), %%r11; mov %%r11, %[recovery]\n"

static uint64_t place(enum test_place which)
{
	struct enclave_thread *thread = enclave_thread();

	switch (which) {
	case PLACE_ARENA:
		return (uint64_t)arena;
	case PLACE_CONSTANT:
		return (uint64_t)&enclave_config.magic;
	case PLACE_CODE:
		return (uint64_t)enclave_call;
	case PLACE_GUARD:
		return (uint64_t)enclave_base() + thread->stack_top;
	default:
		return 0;
	}
}

static uint64_t registers(struct test_registers *untrusted,
			  const struct enclave_frame *frame)
{
	struct test_registers r = { .frame = *frame };

	asm("mov %%fs:%c1, %0" : "=r"(r.fs_self) : "i"(THREAD_SELF));
	asm("mov %%gs:%c1, %0" : "=r"(r.gs_self) : "i"(THREAD_SELF));
	asm("rdfsbase %0" : "=r"(r.fs_base));
	asm("rdgsbase %0" : "=r"(r.gs_base));
	r.fs_self += (uint64_t)enclave_base();
	r.gs_self += (uint64_t)enclave_base();
	r.thread = (uint64_t)enclave_thread();
	return enclave_copy_out(untrusted, &r, sizeof(r)) ? TEST_MAGIC : 0;
}

static uint64_t return_registers(const struct test_return *r,
				 struct enclave_frame *frame)
{
	frame->rsi = r->rsi;
	frame->rdx = r->rdx;
	frame->r8 = r->r8;
	frame->r9 = r->r9;
	return r->rdi;
}

static uint64_t read_at(uint64_t address)
{
	uint64_t value = 0;

	asm volatile(RECOVER_AT("1f")
		     "mov (%[address]), %[value]\n"
		     "1:"
		     : [value] "+&r"(value), [recovery] "=m"(recovery)
		     : [address] "r"(address) : "r11", "memory");
	return value;
}

static uint64_t write_at(uint64_t address, uint64_t value)
{
	asm volatile(RECOVER_AT("1f")
		     "mov %[value], (%[address])\n"
		     "1:"
		     : [recovery] "=m"(recovery)
		     : [value] "r"(value), [address] "r"(address)
		     : "r11", "memory");
	return TEST_MAGIC;
}

static uint64_t jump_to(uint64_t address)
{
	asm volatile(RECOVER_AT("1f")
		     "jmp *%[address]\n"
		     "1:"
		     : [recovery] "=m"(recovery)
		     : [address] "r"(address) : "r11", "memory");
	return TEST_MAGIC;
}

static uint64_t divide_by_zero(void)
{
	uint64_t low = 1, high = 0;

	asm volatile(RECOVER_AT("1f")
		     "div %[zero]\n"
		     "1:"
		     : "+a"(low), "+d"(high), [recovery] "=m"(recovery)
		     : [zero] "r"(0ull) : "r11", "cc");
	return TEST_MAGIC;
}

#define ILLEGAL(name, instruction)					\
	static uint64_t name(void)					\
	{								\
		asm volatile(RECOVER_AT("1f")				\
			     instruction "\n"				\
			     "1:"					\
			     : [recovery] "=m"(recovery)		\
			     : "a"(0) : "r11", "rbx", "rcx", "rdx");	\
		return TEST_MAGIC;					\
	}

ILLEGAL(execute_ud2, "ud2")
ILLEGAL(execute_int3, "int3")
ILLEGAL(execute_int1, ".byte 0xf1")
ILLEGAL(execute_cpuid, "cpuid")
ILLEGAL(execute_syscall, "mov $39, %%eax; syscall")
ILLEGAL(execute_int80, "mov $20, %%eax; int $0x80")
ILLEGAL(execute_int21, "int $0x21")
ILLEGAL(execute_sysenter, "mov $20, %%eax; sysenter")
ILLEGAL(execute_in, "inb $0x80, %%al")
ILLEGAL(execute_out, "outb %%al, $0x80")
ILLEGAL(execute_ins, "insb")
ILLEGAL(execute_outs, "outsb")

static uint64_t execute_illegal(enum test_illegal which)
{
	switch (which) {
	case ILLEGAL_INT80:
		return execute_int80();
	case ILLEGAL_INT21:
		return execute_int21();
	case ILLEGAL_SYSENTER:
		return execute_sysenter();
	case ILLEGAL_IN:
		return execute_in();
	case ILLEGAL_OUT:
		return execute_out();
	case ILLEGAL_INS:
		return execute_ins();
	case ILLEGAL_OUTS:
		return execute_outs();
	case ILLEGAL_INT1:
		return execute_int1();
	default:
		return 0;
	}
}

static uint64_t x87_exception(void)
{
	uint16_t control = 0x37b;	/* all masked but division by zero */

	asm volatile(RECOVER_AT("1f")
		     "fldcw %[control]\n"
		     "fldz\n"
		     "fld1\n"
		     "fdivp\n"
		     "fwait\n"
		     "1: fninit"
		     : [recovery] "=m"(recovery)
		     : [control] "m"(control) : "r11", "st", "st(1)");
	return TEST_MAGIC;
}

static uint64_t sse_exception(void)
{
	uint32_t usual = 0x1f80, control = 0x1d80;
	double one = 1, zero = 0;

	asm volatile(RECOVER_AT("1f")
		     "ldmxcsr %[control]\n"
		     "divsd %[zero], %[one]\n"
		     "1: ldmxcsr %[usual]"
		     : [recovery] "=m"(recovery), [one] "+x"(one)
		     : [zero] "x"(zero), [control] "m"(control),
		       [usual] "m"(usual) : "r11");
	return TEST_MAGIC;
}

static uint64_t alignment_exception(void)
{
	asm volatile(RECOVER_AT("1f")
		     "pushfq\n"
		     "orl $0x40000, (%%rsp)\n"
		     "popfq\n"
		     "mov 1(%[arena]), %%r11\n"
		     "1: pushfq\n"
		     "andl $~0x40000, (%%rsp)\n"
		     "popfq"
		     : [recovery] "=m"(recovery)
		     : [arena] "r"(arena) : "r11", "cc", "memory");
	return TEST_MAGIC;
}

static uint64_t raise_exception(enum test_vector vector)
{
	switch (vector) {
	case VECTOR_MF:
		return x87_exception();
	case VECTOR_XM:
		return sse_exception();
	case VECTOR_AC:
		return alignment_exception();
	default:
		return 0;
	}
}

static uint64_t set_trap_flag(void)
{
	uint64_t flags;

	asm volatile("pushfq\n"
		     "orl $0x100, (%%rsp)\n"
		     "popfq\n"
		     "nop\n"
		     "pushfq\n"
		     "pop %0" : "=r"(flags) : : "cc", "memory");
	return flags;
}

/* An asynchronous exit took place, and the host resumed: notified of it. */
static uint64_t notifications;

static uint64_t notify(uint64_t on)
{
	enclave_saved_state(0)->aexnotify = on;
	return TEST_MAGIC;
}

void enclave_notified(struct sgx_gprsgx *state)
{
	uint8_t *frame_end = (uint8_t *)(state + 1);

	notifications++;
	if (state->exitinfo & SGX_EXITINFO_VALID)
		state->rip = recovery;
	notified_return(state, frame_end - SGX_PAGE_SIZE);
}

static uint64_t execute_enclu(uint64_t leaf, struct enclave_frame *frame)
{
	asm volatile(RECOVER_AT("1f")
		     "enclu\n"
		     "1: pushfq\n"
		     "popq %[flags]"
		     : "+a"(leaf), [recovery] "=m"(recovery),
		       [flags] "=m"(frame->rdx)
		     : "b"(frame->rdx), "c"(frame->r8), "d"(frame->r9)
		     : "r11", "memory", "cc");
	return leaf;
}

/* EEXIT as entry does it, but for the direction flag. */
static void exit_with_df(const struct enclave_frame *frame)
{
	register uint64_t rsp asm("r8") = frame->rsp;
	register uint64_t rbp asm("r9") = frame->rbp;

	asm volatile("mov %[rsp], %%rsp\n"
		     "mov %[rbp], %%rbp\n"
		     "std\n"
		     "enclu"
		     : : "a"(SGX_EEXIT), "b"(frame->rcx), "D"(TEST_MAGIC),
			 [rsp] "r"(rsp), [rbp] "r"(rbp) : "memory");
	__builtin_unreachable();
}

/*
 * EEXIT as a vendor's runtime has it: the leaf is in EAX early, and what stands
 * before the ENCLU are instructions that are shorter than a jump.
 */
static void exit_short(const struct enclave_frame *frame)
{
	register uint64_t rsp asm("r8") = frame->rsp;
	register uint64_t rbp asm("r9") = frame->rbp;

	asm volatile("mov %[rsp], %%rsp\n"
		     "mov %[rbp], %%rbp\n"
		     "xor %%r10, %%r10\n"
		     "xor %%r11, %%r11\n"
		     "xor %%rdx, %%rdx\n"
		     "xor %%rcx, %%rcx\n"
		     "add %%rdx, %%rdx\n"
		     "cld\n"
		     "enclu"
		     : : "a"(SGX_EEXIT), "b"(frame->rcx), "D"(TEST_MAGIC),
			 [rsp] "r"(rsp), [rbp] "r"(rbp) : "memory");
	__builtin_unreachable();
}

static uint64_t spin(uint64_t x, uint64_t rounds)
{
	while (rounds--)
		x = test_stir(x);
	return x;
}

static uint64_t spin_until(struct test_wait *untrusted)
{
	untrusted->inside = 1;
	while (!untrusted->leave)
		__builtin_ia32_pause();
	return TEST_MAGIC;
}

static void fill(struct held_state *s)
{
	uint64_t x = 1;
	int i, j;

	memset(s, 0, sizeof(*s));
	s->mxcsr = 0x1f80 | 0x6000;	/* round towards zero */
	s->fcw = 0x037f | 0x0400;	/* round down */
	for (i = 0; i < 14; i++)
		s->registers[i] = x = test_stir(x);
	for (i = 0; i < 8; i++)
		s->x87[i] = 1.0 / (i + 3);
	for (i = 0; i < 16; i++)
		for (j = 0; j < 4; j++)
			s->vectors[i][j] = x = test_stir(x);
}

/* TEST_MAGIC, or the offset of the first byte that is not as it was. */
static uint64_t held(struct test_wait *untrusted, bool avx)
{
	static struct held_state in, out;
	uint64_t i;
	int j;

	fill(&in);
	memset(&out, 0, sizeof(out));
	untrusted->inside = 1;
	if (avx)
		hold_state_avx(&in, &out, &untrusted->leave);
	else
		hold_state(&in, &out, &untrusted->leave);
	for (j = 0; !avx && j < 16; j++)
		memset(in.vectors[j] + 2, 0, 16);
	for (i = 0; i < sizeof(in); i++)
		if (((uint8_t *)&in)[i] != ((uint8_t *)&out)[i])
			return i;
	return TEST_MAGIC;
}

static uint64_t held_wide(struct test_wait *untrusted)
{
	static struct wide_state in, out;
	uint64_t i, x = 1;

	for (i = 0; i < sizeof(in.vectors); i++)
		((uint8_t *)in.vectors)[i] = (x = test_stir(x)) >> 56;
	for (i = 0; i < 8; i++)
		in.masks[i] = x = test_stir(x);
	memset(&out, 0, sizeof(out));
	untrusted->inside = 1;
	hold_state_avx512(&in, &out, &untrusted->leave);
	for (i = 0; i < sizeof(in); i++)
		if (((uint8_t *)&in)[i] != ((uint8_t *)&out)[i])
			return i;
	return TEST_MAGIC;
}

static uint64_t held_flags(struct test_wait *untrusted, uint64_t flags)
{
	untrusted->inside = 1;
	return hold_flags(flags, &untrusted->leave);
}

static uint64_t getkey(struct test_getkey *untrusted)
{
	uint8_t key[16] __attribute__((aligned(16))) = { 0 };
	struct sgx_keyrequest request;

	if (!enclave_copy_in(&request, &untrusted->request, sizeof(request)))
		return 0;
	untrusted->error = enclave_egetkey(&request, key);
	return enclave_copy_out(untrusted->key, key, 16) ? TEST_MAGIC : 0;
}

static uint64_t report(struct test_report *untrusted)
{
	struct sgx_report report __attribute__((aligned(512)));
	struct sgx_targetinfo target;
	struct sgx_reportdata data;

	memcpy(&target, &untrusted->target, sizeof(target));
	memcpy(data.bytes, untrusted->data, sizeof(data.bytes));
	if (untrusted->to_self) {
		enclave_identity(&report);
		enclave_as_target(&report, &target);
	}
	memset(&report, 0xa5, sizeof(report));
	enclave_ereport(&target, &data, &report);
	memcpy(&untrusted->report, &report, sizeof(report));
	return TEST_MAGIC;
}

static uint64_t verify(const struct sgx_report *untrusted)
{
	struct sgx_report report = *untrusted;

	return enclave_verify_report(&report);
}

bool enclave_exception(struct sgx_gprsgx *state,
		       const struct sgx_exinfo *exinfo,
		       struct enclave_frame *frame)
{
	struct test_exception *untrusted = (void *)frame->rsi;

	switch (frame->rdi) {
	case HANDLE_RECOVER:
		state->rip = recovery;
		return true;
	case HANDLE_RECORD:
		untrusted->state = *state;
		if (exinfo)
			untrusted->exinfo = *exinfo;
		return true;
	case HANDLE_FAULT:
		asm volatile("ud2");
	}
	return false;
}

static uint64_t call_identity(uint64_t number, void *argument)
{
	switch (number) {
	case TEST_GETKEY:
		return getkey(argument);
	case TEST_REPORT:
		return report(argument);
	case TEST_VERIFY:
		return verify(argument);
	default:
		return ~0ull;
	}
}

static uint64_t call_fault(uint64_t number, uint64_t rsi,
			   struct enclave_frame *frame)
{
	switch (number) {
	case TEST_READ:
		return read_at(rsi);
	case TEST_WRITE:
		return write_at(rsi, frame->rdx);
	case TEST_JUMP:
		return jump_to(rsi);
	case TEST_DIVIDE:
		return divide_by_zero();
	case TEST_UD2:
		return execute_ud2();
	case TEST_INT3:
		return execute_int3();
	case TEST_CPUID:
		return execute_cpuid();
	case TEST_SYSCALL:
		return execute_syscall();
	case TEST_ILLEGAL:
		return execute_illegal((enum test_illegal)rsi);
	case TEST_ENCLU:
		return execute_enclu(rsi, frame);
	case TEST_EXCEPTION:
		return raise_exception((enum test_vector)rsi);
	case TEST_CALL:
		return ((uint64_t (*)(void))rsi)();
	case TEST_TRAP_FLAG:
		return set_trap_flag();
	default:
		return call_identity(number, (void *)rsi);
	}
}

uint64_t enclave_call(uint64_t number, void *argument,
		      struct enclave_frame *frame)
{
	switch (number) {
	case TEST_NOTHING:
		return TEST_MAGIC;
	case TEST_PLACE:
		return place(frame->rsi);
	case TEST_REGISTERS:
		return registers(argument, frame);
	case TEST_RETURN:
		return return_registers(argument, frame);
	case TEST_EXIT_DF:
		exit_with_df(frame);
		return 0;
	case TEST_EXIT_SHORT:
		exit_short(frame);
		return 0;
	case TEST_SPIN:
		return spin(frame->rsi, frame->rdx);
	case TEST_SPIN_UNTIL:
		return spin_until(argument);
	case TEST_HOLD_STATE:
	case TEST_HOLD_STATE_AVX:
		return held(argument, number == TEST_HOLD_STATE_AVX);
	case TEST_HOLD_STATE_AVX512:
		return held_wide(argument);
	case TEST_HOLD_FLAGS:
		return held_flags(argument, frame->rdx);
	case TEST_NOTIFY:
		return notify(frame->rsi);
	case TEST_NOTIFIED:
		return notifications;
	case TEST_INCREMENT:
		return __atomic_add_fetch(&counter, 1, __ATOMIC_SEQ_CST);
	default:
		return call_fault(number, frame->rsi, frame);
	}
}
