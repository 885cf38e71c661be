/* SPDX-License-Identifier: Apache-2.0 */
#include "transitions.h"
	.text
	.globl	transit, transit_short, transit_inner
	.globl	transit_enclu, transit_short_enclu, transit_aep
	.type	transit, @function
	.type	transit_short, @function
	.type	transit_inner, @function

	.macro	load
	push	%rbx
	push	%rbp
	push	%r12
	push	%r13
	push	%r14
	push	%r15
	push	%rdi
	mov	%rdi, %rax
	mov	TRANSIT_RBX(%rax), %rbx
	mov	TRANSIT_RCX(%rax), %rcx
	mov	TRANSIT_RDX(%rax), %rdx
	mov	TRANSIT_RSI(%rax), %rsi
	mov	TRANSIT_RDI(%rax), %rdi
	mov	TRANSIT_RBP(%rax), %rbp
	mov	TRANSIT_R8(%rax), %r8
	mov	TRANSIT_R9(%rax), %r9
	mov	TRANSIT_R10(%rax), %r10
	mov	TRANSIT_R11(%rax), %r11
	mov	TRANSIT_R12(%rax), %r12
	mov	TRANSIT_R13(%rax), %r13
	mov	TRANSIT_R14(%rax), %r14
	mov	TRANSIT_R15(%rax), %r15
	mov	%rsp, TRANSIT_RSP(%rax)
	pushq	TRANSIT_FLAGS(%rax)
	popfq
	.endm

	.macro	store
	pushfq
	push	%rax
	mov	16(%rsp), %rax
	mov	%rbx, TRANSIT_RBX(%rax)
	mov	%rcx, TRANSIT_RCX(%rax)
	mov	%rdx, TRANSIT_RDX(%rax)
	mov	%rsi, TRANSIT_RSI(%rax)
	mov	%rdi, TRANSIT_RDI(%rax)
	mov	%rbp, TRANSIT_RBP(%rax)
	mov	%r8, TRANSIT_R8(%rax)
	mov	%r9, TRANSIT_R9(%rax)
	mov	%r10, TRANSIT_R10(%rax)
	mov	%r11, TRANSIT_R11(%rax)
	mov	%r12, TRANSIT_R12(%rax)
	mov	%r13, TRANSIT_R13(%rax)
	mov	%r14, TRANSIT_R14(%rax)
	mov	%r15, TRANSIT_R15(%rax)
	pop	TRANSIT_RAX(%rax)
	pop	TRANSIT_FLAGS(%rax)
	cld
	pop	%rdi
	pop	%r15
	pop	%r14
	pop	%r13
	pop	%r12
	pop	%rbp
	pop	%rbx
	ret
	.endm

/*
 * void transit(struct transit *t): EENTER with all registers and the flags
 * from *t, and what they are afterwards to *t. The instruction before the
 * ENCLU is as programs have it: the leaf into EAX.
 */
transit:
	load
	mov	$2, %eax
transit_enclu:
	enclu
	store
	.size	transit, . - transit

/* The same with instructions that are shorter than a jump. */
transit_short:
	load
	mov	$2, %eax
	mov	%rdx, %rdx
1:	mov	%rbx, %rbx
	nop
transit_short_enclu:
	enclu
	store
	.size	transit_short, . - transit_short

/* The same, but into the middle of them, on a way that nobody can foresee. */
transit_inner:
	load
	mov	$2, %eax
	jmp	*2f(%rip)
	.size	transit_inner, . - transit_inner

transit_aep:
	enclu
	ud2

	.section .data.rel.ro, "aw", @progbits
	.balign	8
2:	.quad	1b

	.section .note.GNU-stack, "", @progbits
