/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hold_state(in, out, flag): load registers from in, wait until the u32 at
 * flag, in the host's memory, is not zero, and store the registers to out.
 * What an interruption loses or changes shows as a difference.
 *
 * struct held_state:
 *	0x000	MXCSR, x87 control word
 *	0x008	rax rbx rcx rdx rsi rbp r8 … r15
 *	0x080	eight x87 registers, as doubles
 *	0x0c0	ymm0 … ymm15 (or the xmm halves, 32 bytes apart)
 */
	.macro	hold_state name, move, wide
	.globl	\name
	.hidden	\name
	.type	\name, @function
\name:
	push	%rbx
	push	%rbp
	push	%r12
	push	%r13
	push	%r14
	push	%r15
	push	%rsi
	push	%rdx
	ldmxcsr	0x00(%rdi)
	fninit
	fldcw	0x04(%rdi)
	.irp	n, 7, 6, 5, 4, 3, 2, 1, 0
	fldl	0x80 + 8 * \n(%rdi)
	.endr
	.irp	n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
	\move	0xc0 + 32 * \n(%rdi), %\wide\n
	.endr
	mov	0x08(%rdi), %rax
	mov	0x10(%rdi), %rbx
	mov	0x18(%rdi), %rcx
	mov	0x20(%rdi), %rdx
	mov	0x28(%rdi), %rsi
	mov	0x30(%rdi), %rbp
	mov	0x38(%rdi), %r8
	mov	0x40(%rdi), %r9
	mov	0x48(%rdi), %r10
	mov	0x50(%rdi), %r11
	mov	0x58(%rdi), %r12
	mov	0x60(%rdi), %r13
	mov	0x68(%rdi), %r14
	mov	0x70(%rdi), %r15

	mov	(%rsp), %rdi
1:	cmpl	$0, (%rdi)
	je	1b

	mov	8(%rsp), %rdi
	mov	%rax, 0x08(%rdi)
	mov	%rbx, 0x10(%rdi)
	mov	%rcx, 0x18(%rdi)
	mov	%rdx, 0x20(%rdi)
	mov	%rsi, 0x28(%rdi)
	mov	%rbp, 0x30(%rdi)
	mov	%r8, 0x38(%rdi)
	mov	%r9, 0x40(%rdi)
	mov	%r10, 0x48(%rdi)
	mov	%r11, 0x50(%rdi)
	mov	%r12, 0x58(%rdi)
	mov	%r13, 0x60(%rdi)
	mov	%r14, 0x68(%rdi)
	mov	%r15, 0x70(%rdi)
	.irp	n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
	\move	%\wide\n, 0xc0 + 32 * \n(%rdi)
	.endr
	stmxcsr	0x00(%rdi)
	fnstcw	0x04(%rdi)
	.irp	n, 0, 1, 2, 3, 4, 5, 6, 7
	fstpl	0x80 + 8 * \n(%rdi)
	.endr
	pop	%rdx
	pop	%rsi
	pop	%r15
	pop	%r14
	pop	%r13
	pop	%r12
	pop	%rbp
	pop	%rbx
	ret
	.size	\name, . - \name
	.endm

	.text
	hold_state hold_state, movdqu, xmm
	hold_state hold_state_avx, vmovdqu, ymm

	.section .note.GNU-stack, "", @progbits
