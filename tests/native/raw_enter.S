/* SPDX-License-Identifier: Apache-2.0 */
#include "raw.h"
	.text
	.globl	raw_enclu, raw_enclu_instruction, raw_aep, counting_aep
	.type	raw_enclu, @function
raw_enclu:
	push	%rbx
	push	%rbp
	push	%r12
	push	%r13
	push	%r14
	push	%r15
	mov	%rdi, %rax
	mov	%rsi, %rbx
	mov	%rcx, %rdi
	mov	%rdx, %rcx
	mov	%r8, %rsi
	mov	%r9, %rdx
	mov	$RAW_RBP, %ebp
	mov	%rsp, raw_rsp(%rip)
	pushq	raw_flags_in(%rip)
	popfq
raw_enclu_instruction:
	enclu
	pushfq
	popq	raw_flags_out(%rip)
	mov	%rdi, %rax
	cld
	pop	%r15
	pop	%r14
	pop	%r13
	pop	%r12
	pop	%rbp
	pop	%rbx
	ret
	.size	raw_enclu, . - raw_enclu

counting_aep:
	incq	aep_count(%rip)
raw_aep:
	enclu
	ud2

	.section .note.GNU-stack, "", @progbits
