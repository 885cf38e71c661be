/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The only way in. EENTER arrives here with RAX = CSSA, RBX = the TCS and
 * RCX = the address behind the EENTER; FS and GS lead to the thread's own page.
 * Every other register, the stack pointer and the flags are the host's, and
 * the host is not trusted: use nothing of it but by way of the frame.
 */
#include "enclave_layout.h"

	.section .text.entry, "ax", @progbits
	.globl	enclave_entry
	.hidden	enclave_entry
	.type	enclave_entry, @function
enclave_entry:
	/*
	 * CSSA above zero: this TCS is in the middle of something that faulted.
	 * Its state lies in an SSA frame and its stack must stay as it is, so
	 * the exception handler has a stack of its own. NSSA = 2 makes a third
	 * level impossible.
	 */
	mov	%rbx, %gs:THREAD_ENTRY_RBX
	lea	__enclave_base(%rip), %rbx
	test	%eax, %eax
	jnz	1f
	add	%gs:THREAD_STACK_TOP, %rbx
	jmp	2f
1:	add	%gs:THREAD_EXCEPTION_TOP, %rbx
2:
	xchg	%rbx, %rsp
	pushq	$0
	stmxcsr	(%rsp)
	fnstcw	4(%rsp)
	push	%rbx			/* the host's RSP */
	pushfq
	push	%r15
	push	%r14
	push	%r13
	push	%r12
	push	%r11
	push	%r10
	push	%r9
	push	%r8
	push	%rbp
	push	%rdi
	push	%rsi
	push	%rdx
	push	%rcx
	push	%gs:THREAD_ENTRY_RBX
	push	%rax

	/*
	 * What compiled code takes for granted: DF and AC clear, default
	 * rounding and masked exceptions in both floating point units.
	 */
	push	$2
	popfq
	fninit
	push	$0x1f80
	ldmxcsr	(%rsp)
	add	$8, %rsp
	xor	%ebp, %ebp

	mov	%rsp, %rdi
	call	enclave_dispatch

	/*
	 * Out again: the host's state from the frame, results included. But not
	 * its stack: an exception may have been reported in between, and the
	 * host may have resumed us from elsewhere. EENTER and ERESUME both note
	 * RSP and RBP in the SSA frame, to which RAX points.
	 */
	ldmxcsr	FRAME_MXCSR(%rsp)
	fninit				/* no x87 register leaves full */
	fldcw	FRAME_FCW(%rsp)
	mov	FRAME_RCX(%rsp), %rbx	/* EEXIT's target */
	mov	FRAME_RDX(%rsp), %rdx
	mov	FRAME_RSI(%rsp), %rsi
	mov	FRAME_RDI(%rsp), %rdi
	mov	FRAME_R8(%rsp), %r8
	mov	FRAME_R9(%rsp), %r9
	mov	FRAME_R12(%rsp), %r12
	mov	FRAME_R13(%rsp), %r13
	mov	FRAME_R14(%rsp), %r14
	mov	FRAME_R15(%rsp), %r15
	mov	GPRSGX_URBP(%rax), %rbp
	mov	GPRSGX_URSP(%rax), %rsp

	/*
	 * Whatever else a register holds is a secret going outside. EEXIT puts
	 * the AEP into RCX itself. The runtime is compiled without AVX: the
	 * upper halves of the vector registers are still the host's.
	 */
	.irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
	pxor	%xmm\n, %xmm\n
	.endr
	xor	%r10d, %r10d
	xor	%r11d, %r11d
	xor	%ecx, %ecx		/* and the arithmetic flags */
	mov	$4, %eax
	enclu				/* EEXIT */
	ud2
	.size	enclave_entry, . - enclave_entry

	.section .note.GNU-stack, "", @progbits
