/* SPDX-License-Identifier: Apache-2.0 */
/*
 * uint64_t direct_ecall(uint64_t tcs, uint64_t number): an ECALL by an ENCLU
 * of our own, as runtimes have it that do not use the vDSO.
 */
	.text
	.globl	direct_ecall
	.type	direct_ecall, @function
direct_ecall:
	push	%rbx
	push	%rbp
	push	%r12
	push	%r13
	push	%r14
	push	%r15
	mov	%rdi, %rbx
	mov	%rsi, %rdi
	xor	%esi, %esi
	lea	1f(%rip), %rcx
	mov	$2, %eax
	enclu
	mov	%rdi, %rax
	pop	%r15
	pop	%r14
	pop	%r13
	pop	%r12
	pop	%rbp
	pop	%rbx
	ret
1:	enclu
	ud2
	.size	direct_ecall, . - direct_ecall

	.section .note.GNU-stack, "", @progbits
