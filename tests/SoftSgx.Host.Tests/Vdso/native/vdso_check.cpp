// Runs the replaced vDSO in an ordinary process. The image is loaded by the dynamic linker, which reads its symbols,
// versions and unwind tables as it would those of a library. The processor is played by a SIGSYS handler: a seccomp filter
// turns the image's trap into that signal, and the handler "enters" a fake enclave, "reports" an exception or "exits
// asynchronously" by changing the interrupted registers, as the supervisor does with ptrace.
//
// usage: vdso_check IMAGE AEP TRAP_RETURN EXCEPTION ENTER ENTER_END MAGIC     (offsets and the magic in hexadecimal)

#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <link.h>
#include <setjmp.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>
#include <unwind.h>

enum { EENTER = 2, ERESUME = 3, EEXIT = 4 };

struct run {
	uint64_t tcs;
	uint32_t function;
	uint16_t exception_vector;
	uint16_t exception_error_code;
	uint64_t exception_addr;
	uint64_t user_handler;
	uint64_t user_data;
	uint8_t reserved[216];
};
static_assert(sizeof(struct run) == 256, "struct sgx_enclave_run is 256 bytes");

typedef int (*enter_t)(uint64_t rdi, uint64_t rsi, uint64_t rdx, uint32_t leaf, uint64_t r8, uint64_t r9, struct run *run);
typedef int (*handler_t)(uint64_t rdi, uint64_t rsi, uint64_t rdx, uint64_t rsp, uint64_t r8, uint64_t r9, struct run *run);

static int failures;
static const char *current;

#define CHECK(condition) do { \
		if (!(condition)) { \
			printf("FAILED %s, line %d: %s\n", current, __LINE__, #condition); \
			failures++; \
		} \
	} while (0)

// ---------------------------------------------------------------------------------------------------- the fake enclave

// What the enclave found at its entry, and what it leaves behind. It pushes two words on the untrusted stack at each entry,
// pops what it finds there if told so, sets the direction flag, and spoils every register that it may.
extern "C" {
	struct registers { uint64_t rax, rbx, rcx, rdx, rsi, rdi, rbp, rsp, r8, r9, r10, r11; } seen, leave_behind;
	uint64_t push_count, pop_count, popped;
	void fake_enclave(void);
}

asm(R"(
	.text
	.globl fake_enclave
fake_enclave:
	mov %rax, seen(%rip)
	mov %rbx, seen+8(%rip)
	mov %rcx, seen+16(%rip)
	mov %rdx, seen+24(%rip)
	mov %rsi, seen+32(%rip)
	mov %rdi, seen+40(%rip)
	mov %rbp, seen+48(%rip)
	mov %rsp, seen+56(%rip)
	mov %r8, seen+64(%rip)
	mov %r9, seen+72(%rip)
	mov %r10, seen+80(%rip)
	mov %r11, seen+88(%rip)
	mov pop_count(%rip), %rdx
1:	test %rdx, %rdx
	jz 2f
	popq popped(%rip)
	dec %rdx
	jmp 1b
2:	mov push_count(%rip), %rdx
3:	test %rdx, %rdx
	jz 4f
	push %rdx
	dec %rdx
	jmp 3b
4:	mov leave_behind+24(%rip), %rdx
	mov leave_behind+32(%rip), %rsi
	mov leave_behind+40(%rip), %rdi
	mov leave_behind+64(%rip), %r8
	mov leave_behind+72(%rip), %r9
	mov $0xbad, %eax
	mov $0xbad, %r10d
	mov $0xbad, %r11d
	mov %rcx, %rbx
	mov $0xbad, %ecx
	std
	jmp *%rbx
)");

// --------------------------------------------------------------------------------------------------- the fake processor

static uint64_t image, aep, trap_return, exception_entry, enter_start, enter_end, magic;
static enter_t enter;

enum step { ENTER_ENCLAVE, RAISE_EXCEPTION, ASYNCHRONOUS_EXIT };
static enum step script[8];
static uint64_t trap_leaf[8], trap_tcs[8];
static int traps, unexpected;

static void processor(int signal, siginfo_t *info, void *context)
{
	greg_t *g = ((ucontext_t *)context)->uc_mcontext.gregs;
	uint64_t *stack = (uint64_t *)g[REG_RSP];
	if (info->si_syscall != SYS_rt_sigreturn || (uint64_t)g[REG_R10] != magic || (uint64_t)g[REG_RIP] != image + trap_return) {
		unexpected++;
		return;
	}
	uint64_t leaf = stack[-1];
	g[REG_R10] = stack[-2];
	g[REG_R11] = stack[-3];
	trap_leaf[traps % 8] = leaf;
	trap_tcs[traps % 8] = g[REG_RBX];
	switch (script[traps++ % 8]) {
	case ENTER_ENCLAVE:
		g[REG_RAX] = 0; /* CSSA */
		g[REG_RCX] = image + trap_return;
		g[REG_RIP] = (uint64_t)fake_enclave;
		break;
	case RAISE_EXCEPTION:
		g[REG_RAX] = leaf;
		g[REG_RDI] = 0xffffffffffff000e;
		g[REG_RSI] = 0xffffffffffff8007;
		g[REG_RDX] = 0x123456789000;
		g[REG_RIP] = image + exception_entry;
		break;
	case ASYNCHRONOUS_EXIT:
		g[REG_RAX] = ERESUME;
		g[REG_RCX] = image + aep;
		g[REG_RIP] = image + aep;
		break;
	}
}

static bool install_processor(void)
{
	uint64_t ip = image + trap_return;
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_rt_sigreturn, 0, 9),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[3])),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)magic, 0, 7),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[3]) + 4),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)(magic >> 32), 0, 5),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, instruction_pointer)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)ip, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, instruction_pointer) + 4),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)(ip >> 32), 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { sizeof(filter) / sizeof(filter[0]), filter };
	struct sigaction action = {};
	action.sa_sigaction = processor;
	action.sa_flags = SA_SIGINFO;
	return sigaction(SIGSYS, &action, NULL) == 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
		&& prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

static struct run fresh_run(handler_t handler)
{
	struct run run = {};
	run.tcs = 0x7c5000;
	run.user_handler = (uint64_t)handler;
	run.user_data = 0xda7a;
	memset(script, 0, sizeof(script));
	memset(&seen, 0, sizeof(seen));
	traps = 0;
	push_count = 0;
	pop_count = 0;
	leave_behind = {};
	leave_behind.rdi = 0x1001;
	leave_behind.rsi = 0x1002;
	leave_behind.rdx = 0x1003;
	leave_behind.r8 = 0x1008;
	leave_behind.r9 = 0x1009;
	return run;
}

// Calls with known values in every callee-saved register and in R10 and R11, and notes what comes back.
extern "C" {
	struct { uint64_t function, rdi, rsi, rdx, rcx, r8, r9, run; } call;
	struct { uint64_t rax, rbx, rbp_same, r12, r13, r14, r15, rsp_same, flags; } returned;
	void call_with_marks(void);
}

asm(R"(
	.text
	.globl call_with_marks
call_with_marks:
	push %rbx
	push %rbp
	push %r12
	push %r13
	push %r14
	push %r15
	sub $16, %rsp
	mov call+56(%rip), %rax
	mov %rax, (%rsp)
	mov %rsp, saved_rsp(%rip)
	mov $0xb0, %ebx
	mov $0xb5, %ebp
	mov $0xb12, %r12d
	mov $0xb13, %r13d
	mov $0xb14, %r14d
	mov $0xb15, %r15d
	mov $0xb10, %r10d
	mov $0xb11, %r11d
	mov call+8(%rip), %rdi
	mov call+16(%rip), %rsi
	mov call+24(%rip), %rdx
	mov call+32(%rip), %rcx
	mov call+40(%rip), %r8
	mov call+48(%rip), %r9
	call *call(%rip)
	mov %rax, returned(%rip)
	mov %rbx, returned+8(%rip)
	mov %rbp, returned+16(%rip)
	mov %r12, returned+24(%rip)
	mov %r13, returned+32(%rip)
	mov %r14, returned+40(%rip)
	mov %r15, returned+48(%rip)
	pushfq
	popq returned+64(%rip)
	cld
	xor %eax, %eax
	cmp saved_rsp(%rip), %rsp
	sete %al
	mov %rax, returned+56(%rip)
	mov saved_rsp(%rip), %rsp
	add $16, %rsp
	pop %r15
	pop %r14
	pop %r13
	pop %r12
	pop %rbp
	pop %rbx
	ret
	.local saved_rsp
	.comm saved_rsp, 8, 8
)");

static int call_marked(struct run *run, uint32_t leaf)
{
	call = { (uint64_t)enter, 0x101, 0x102, 0x103, leaf | 0xabcd00000000u, 0x108, 0x109, (uint64_t)run };
	call_with_marks();
	CHECK(returned.rbx == 0xb0 && returned.rbp_same == 0xb5);
	CHECK(returned.r12 == 0xb12 && returned.r13 == 0xb13 && returned.r14 == 0xb14 && returned.r15 == 0xb15);
	CHECK(returned.rsp_same == 1);
	CHECK((returned.flags & 0x400) == 0);
	return (int)returned.rax;
}

// ----------------------------------------------------------------------------------------------------------- the checks

static void stubs_reach_the_kernels_functions(void *library)
{
	typedef int (*clock_gettime_t)(clockid_t, struct timespec *);
	static const char *const names[] = { "clock_gettime", "__vdso_clock_gettime" };
	for (const char *name : names) {
		clock_gettime_t get = (clock_gettime_t)dlvsym(library, name, "LINUX_2.6");
		CHECK(get != NULL);
		if (get == NULL)
			continue;
		struct timespec before, stub, after;
		syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &before);
		CHECK(get(CLOCK_MONOTONIC, &stub) == 0);
		syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &after);
		int64_t b = before.tv_sec * 1000000000 + before.tv_nsec, s = stub.tv_sec * 1000000000 + stub.tv_nsec,
			a = after.tv_sec * 1000000000 + after.tv_nsec;
		CHECK(b <= s && s <= a);
	}
	typedef long (*getcpu_t)(unsigned *, unsigned *, void *);
	getcpu_t getcpu = (getcpu_t)dlvsym(library, "__vdso_getcpu", "LINUX_2.6");
	unsigned cpu = ~0u;
	CHECK(getcpu != NULL && getcpu(&cpu, NULL, NULL) == 0 && cpu != ~0u);
	CHECK(dlvsym(library, "clock_gettime", "LINUX_3.0") == NULL);
	CHECK(dlvsym(library, "no_such_function", "LINUX_2.6") == NULL);
}

static void bad_arguments_are_refused(void)
{
	struct run run = fresh_run(NULL);
	static const uint32_t leaves[] = { 0, 1, 4, 5, 0x80000002, 0xffffffff };
	for (uint32_t leaf : leaves)
		CHECK(call_marked(&run, leaf) == -EINVAL);
	for (int i = 0; i < 216; i++) {
		run.reserved[i] = 1;
		CHECK(call_marked(&run, EENTER) == -EINVAL);
		run.reserved[i] = 0;
	}
	CHECK(traps == 0);
	CHECK(run.function == 0);
}

static void entry_and_exit_without_a_handler(void)
{
	static const uint32_t leaves[] = { EENTER, ERESUME };
	for (uint32_t leaf : leaves) {
		struct run run = fresh_run(NULL);
		run.function = 77;
		run.exception_vector = 14;
		run.exception_error_code = 7;
		run.exception_addr = 0xaddd;
		CHECK(call_marked(&run, leaf) == 0);
		CHECK(traps == 1 && trap_leaf[0] == leaf && trap_tcs[0] == 0x7c5000);
		CHECK(seen.rdi == 0x101 && seen.rsi == 0x102 && seen.rdx == 0x103 && seen.r8 == 0x108 && seen.r9 == 0x109);
		CHECK(seen.rbx == 0x7c5000 && seen.rcx == image + trap_return);
		CHECK(seen.r10 == 0xb10 && seen.r11 == 0xb11);
		CHECK(run.function == EEXIT);
		CHECK(run.exception_vector == 14 && run.exception_error_code == 7 && run.exception_addr == 0xaddd);
		CHECK(run.user_data == 0xda7a);
	}
}

static void asynchronous_exits_resume(void)
{
	struct run run = fresh_run(NULL);
	script[0] = script[1] = ASYNCHRONOUS_EXIT;
	CHECK(call_marked(&run, EENTER) == 0);
	CHECK(traps == 3 && trap_leaf[0] == EENTER && trap_leaf[1] == ERESUME && trap_leaf[2] == ERESUME);
	CHECK(seen.rbx == 0x7c5000 && seen.rdi == 0x101 && seen.r10 == 0xb10);
	CHECK(run.function == EEXIT);
}

static void exceptions_are_reported(void)
{
	struct run run = fresh_run(NULL);
	script[0] = RAISE_EXCEPTION;
	CHECK(call_marked(&run, EENTER) == 0);
	CHECK(run.function == EENTER && run.exception_vector == 14 && run.exception_error_code == 0x8007);
	CHECK(run.exception_addr == 0x123456789000);
	CHECK(run.user_handler == 0 && run.user_data == 0xda7a);

	run = fresh_run(NULL);
	script[0] = ASYNCHRONOUS_EXIT;
	script[1] = RAISE_EXCEPTION;
	CHECK(call_marked(&run, EENTER) == 0);
	CHECK(run.function == ERESUME);
}

static int handler_calls, handler_returns[8];
static uint64_t handler_rsp[8], handler_own_rsp[8];
static struct run *handler_run;
static uint32_t handler_function[8];
static bool handler_arguments_right, handler_df;

static int handler(uint64_t rdi, uint64_t rsi, uint64_t rdx, uint64_t rsp, uint64_t r8, uint64_t r9, struct run *run)
{
	uint64_t flags;
	asm volatile("pushfq; pop %0" : "=r"(flags));
	handler_df = flags & 0x400;
	handler_run = run;
	handler_arguments_right = rdi == leave_behind.rdi && rsi == leave_behind.rsi && rdx == leave_behind.rdx
		&& r8 == leave_behind.r8 && r9 == leave_behind.r9;
	handler_rsp[handler_calls] = rsp;
	handler_own_rsp[handler_calls] = (uint64_t)__builtin_frame_address(0);
	handler_function[handler_calls] = run->function;
	return handler_returns[handler_calls++];
}

static void the_handler_decides(void)
{
	for (push_count = 0; push_count < 3; push_count++) {
		for (int result = -1; result <= 0; result++) {
			uint64_t pushed = push_count;
			struct run run = fresh_run(handler);
			push_count = pushed;
			handler_calls = 0;
			handler_returns[0] = result * 5;
			CHECK(call_marked(&run, EENTER) == result * 5);
			CHECK(handler_calls == 1 && handler_run == &run && handler_arguments_right && !handler_df);
			CHECK(handler_function[0] == EEXIT);
			CHECK(handler_rsp[0] == seen.rsp - 8 * pushed);
			CHECK(handler_own_rsp[0] % 16 == 0);	/* RBP after the prologue: aligned if the call was */
			CHECK(handler_own_rsp[0] < handler_rsp[0]);
		}
	}

	struct run run = fresh_run(handler);
	handler_calls = 0;
	handler_returns[0] = EENTER;
	handler_returns[1] = ERESUME;
	handler_returns[2] = 0;
	CHECK(call_marked(&run, EENTER) == 0);
	CHECK(handler_calls == 3 && traps == 3);
	CHECK(trap_leaf[0] == EENTER && trap_leaf[1] == EENTER && trap_leaf[2] == ERESUME);
	CHECK(trap_tcs[2] == 0x7c5000);

	static const int invalid[] = { 1, 4, 0x7fffffff };
	for (int leaf : invalid) {
		run = fresh_run(handler);
		handler_calls = 0;
		handler_returns[0] = leaf;
		CHECK(call_marked(&run, EENTER) == -EINVAL);
		CHECK(handler_calls == 1 && traps == 1);
	}
}

static int reserve_then_enter(uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, struct run *run)
{
	run->reserved[100] = 1;
	return EENTER;
}

static void the_handlers_changes_are_validated(void)
{
	struct run run = fresh_run(reserve_then_enter);
	CHECK(call_marked(&run, EENTER) == -EINVAL);
	CHECK(traps == 1);
}

static uint64_t stack_of_first_exit;

static int pop_on_reentry(uint64_t, uint64_t, uint64_t, uint64_t rsp, uint64_t, uint64_t, struct run *run)
{
	if (traps == 1) {
		stack_of_first_exit = rsp;
		push_count = 0;
		pop_count = 3;
		return EENTER;
	}
	return 0;
}

static void the_enclaves_data_on_the_stack_survive_the_handler(void)
{
	struct run run = fresh_run(pop_on_reentry);
	push_count = 3;
	popped = 0;
	CHECK(call_marked(&run, EENTER) == 0);
	CHECK(traps == 2 && seen.rsp == stack_of_first_exit);
	CHECK(popped == 3);	/* pushed first, popped last */
}

static int exception_handler(uint64_t rdi, uint64_t rsi, uint64_t rdx, uint64_t rsp, uint64_t, uint64_t, struct run *run)
{
	CHECK(run->function == EENTER && run->exception_vector == 14);
	CHECK((uint16_t)rdi == 14 && (uint16_t)rsi == 0x8007 && rdx == 0x123456789000);
	return traps == 1 ? EENTER : 9 - 10;
}

static void the_handler_sees_exceptions(void)
{
	struct run run = fresh_run(exception_handler);
	script[0] = script[1] = RAISE_EXCEPTION;
	CHECK(call_marked(&run, EENTER) == -1);
	CHECK(traps == 2);
}

static int throwing_handler(uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, struct run *)
{
	throw 42;
}

struct witness {
	bool *destroyed;
	~witness() { *destroyed = true; }
};

static __attribute__((noinline)) int enter_with_witness(struct run *run, bool *destroyed)
{
	struct witness witness = { destroyed };
	return enter(1, 2, 3, EENTER, 8, 9, run) + 1;
}

static void handlers_may_throw(void)
{
	for (uint64_t pushed = 0; pushed < 3; pushed++) {
		struct run run = fresh_run(throwing_handler);
		push_count = pushed;
		bool destroyed = false;
		int caught = 0;
		try {
			enter_with_witness(&run, &destroyed);
		} catch (int value) {
			caught = value;
		}
		CHECK(caught == 42 && destroyed);
	}
}

static jmp_buf jump;

static int jumping_handler(uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, struct run *)
{
	longjmp(jump, 43);
}

static void handlers_may_longjmp(void)
{
	struct run run = fresh_run(jumping_handler);
	int value = setjmp(jump);
	if (value == 0)
		enter(1, 2, 3, EENTER, 8, 9, &run);
	CHECK(value == 43);
	run = fresh_run(NULL);
	CHECK(call_marked(&run, EENTER) == 0);
}

struct walk {
	uint64_t call_site;	/* the return address of the call into the image */
	bool passed_image, reached_caller;
};

static _Unwind_Reason_Code visit(struct _Unwind_Context *context, void *argument)
{
	struct walk *walk = (struct walk *)argument;
	uint64_t ip = _Unwind_GetIP(context);
	if (ip >= image + enter_start && ip < image + enter_end)
		walk->passed_image = true;
	if (walk->passed_image && ip == walk->call_site)
		walk->reached_caller = true;
	return _URC_NO_REASON;
}

static uint64_t expected_call_site;
static int steps_inside, steps_unwound;

static void single_step(int, siginfo_t *, void *context)
{
	greg_t *g = ((ucontext_t *)context)->uc_mcontext.gregs;
	uint64_t ip = g[REG_RIP];
	if (ip < image + enter_start || ip >= image + enter_end)
		return;
	steps_inside++;
	struct walk walk = { expected_call_site, false, false };
	_Unwind_Backtrace(visit, &walk);
	if (walk.reached_caller)
		steps_unwound++;
	else
		printf("no way out from offset %#lx\n", ip - image);
}

static void every_instruction_can_be_unwound(void)
{
	struct sigaction action = {};
	action.sa_sigaction = single_step;
	action.sa_flags = SA_SIGINFO;
	sigaction(SIGTRAP, &action, NULL);
	static const uint32_t leaves[] = { 0, EENTER };
	for (uint32_t leaf : leaves) {
		struct run run = fresh_run(NULL);
		run.reserved[0] = 1;
		steps_inside = steps_unwound = 0;
		uint64_t result;
		/* The stack holds run as the seventh argument; the frame pointer lets the unwinder find this function's frame. */
		asm volatile(
			"mov %%rsp, %%r12\n\t"
			"sub $256, %%rsp\n\t"
			"and $-16, %%rsp\n\t"
			"push %%rax\n\t"
			"push %[run]\n\t"
			"lea 1f(%%rip), %%rax\n\t"
			"mov %%rax, %[site]\n\t"
			"pushfq\n\t"
			"orl $0x100, (%%rsp)\n\t"
			"popfq\n\t"
			"call *%[enter]\n"
			"1:\n\t"
			"pushfq\n\t"
			"andl $~0x100, (%%rsp)\n\t"
			"popfq\n\t"
			"mov %%r12, %%rsp"
			: "=&a"(result), [site] "=m"(expected_call_site), "+c"(leaf)
			: [run] "b"(&run), [enter] "r"(enter)
			: "rdi", "rsi", "rdx", "r8", "r9", "r10", "r11", "r12", "memory", "cc");
		CHECK((int)result == -EINVAL);
		CHECK(steps_inside >= 9);
		CHECK(steps_unwound == steps_inside);
	}
	signal(SIGTRAP, SIG_DFL);
}

static struct walk handler_walk;

static int walking_handler(uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, struct run *)
{
	_Unwind_Backtrace(visit, &handler_walk);
	return 0;
}

static void backtraces_pass_through(void)
{
	struct run run = fresh_run(walking_handler);
	handler_walk = {};
	CHECK(enter(1, 2, 3, EENTER, 8, 9, &run) == 0);
	CHECK(handler_walk.passed_image);
}

// ------------------------------------------------------------------------------------------------------------ the frame

// The test relocates with 0, so each slot holds an offset in the kernel's vDSO: add where that lies in this process.
static bool fill_slots(const char *path)
{
	FILE *file = fopen(path, "rb");
	if (file == NULL)
		return false;
	fseek(file, 0, SEEK_END);
	size_t size = ftell(file);
	fclose(file);
	if (mprotect((void *)image, size, PROT_READ | PROT_WRITE | PROT_EXEC) != 0)
		return false;
	const Elf64_Ehdr *header = (const Elf64_Ehdr *)image;
	const Elf64_Shdr *sections = (const Elf64_Shdr *)(image + header->e_shoff);
	const char *names = (const char *)(image + sections[header->e_shstrndx].sh_offset);
	for (int i = 0; i < header->e_shnum; i++) {
		if (strcmp(names + sections[i].sh_name, ".got") != 0)
			continue;
		uint64_t *slots = (uint64_t *)(image + sections[i].sh_offset);
		for (size_t s = 0; s < sections[i].sh_size / 8; s++)
			slots[s] += getauxval(AT_SYSINFO_EHDR);
	}
	return mprotect((void *)image, size, PROT_READ | PROT_EXEC) == 0;
}

int main(int argc, char **argv)
{
	if (argc != 8)
		return 2;
	void *library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
	if (library == NULL) {
		printf("FAILED dlopen: %s\n", dlerror());
		return 1;
	}
	struct link_map *map;
	dlinfo(library, RTLD_DI_LINKMAP, &map);
	image = map->l_addr;
	aep = strtoul(argv[2], NULL, 16);
	trap_return = strtoul(argv[3], NULL, 16);
	exception_entry = strtoul(argv[4], NULL, 16);
	enter_start = strtoul(argv[5], NULL, 16);
	enter_end = strtoul(argv[6], NULL, 16);
	magic = strtoul(argv[7], NULL, 16);
	enter = (enter_t)dlvsym(library, "__vdso_sgx_enter_enclave", "LINUX_2.6");
	if ((uint64_t)enter != image + enter_start || !fill_slots(argv[1]) || !install_processor()) {
		printf("FAILED to prepare: %s\n", strerror(errno));
		return 1;
	}
	setvbuf(stdout, NULL, _IONBF, 0);
#define RUN(check, ...) do { current = #check; check(__VA_ARGS__); printf("done %s\n", current); } while (0)
	RUN(stubs_reach_the_kernels_functions, library);
	RUN(bad_arguments_are_refused);
	RUN(entry_and_exit_without_a_handler);
	RUN(asynchronous_exits_resume);
	RUN(exceptions_are_reported);
	RUN(the_handler_decides);
	RUN(the_handlers_changes_are_validated);
	RUN(the_enclaves_data_on_the_stack_survive_the_handler);
	RUN(the_handler_sees_exceptions);
	RUN(handlers_may_throw);
	RUN(handlers_may_longjmp);
	RUN(backtraces_pass_through);
	RUN(every_instruction_can_be_unwound);
	current = "main";
	CHECK(unexpected == 0);
	printf("%d failures\n", failures);
	return failures != 0;
}
