/* SPDX-License-Identifier: Apache-2.0 */
/*
 * C cannot see the registers in which an enclave returns its results: a call
 * of the vDSO's function has one integer as its value. So this calls it.
 */
	.bss
	.globl	sgx_vdso_enter
	.type	sgx_vdso_enter, @object
	.size	sgx_vdso_enter, 8
	.balign	8
sgx_vdso_enter:
	.zero	8

	.text
	.globl	sgx_enter
	.type	sgx_enter, @function
sgx_enter:
	.cfi_startproc
	push	%rbp
	.cfi_adjust_cfa_offset	8
	.cfi_rel_offset		%rbp, 0
	mov	%rsp, %rbp
	.cfi_def_cfa_register	%rbp
	push	%rbx
	.cfi_rel_offset		%rbx, -8
	push	%r12
	.cfi_rel_offset		%r12, -16
	push	%r13
	.cfi_rel_offset		%r13, -24
	push	%r14
	.cfi_rel_offset		%r14, -32
	push	%r15
	.cfi_rel_offset		%r15, -40

	/* The stack, aligned: the 7th argument, then what is ours. */
	sub	$8, %rsp
	push	%rdi
	push	%rdx

	mov	%rdi, %rax
	mov	%esi, %ecx
	mov	0x00(%rax), %rdi
	mov	0x08(%rax), %rsi
	mov	0x10(%rax), %rdx
	mov	0x18(%rax), %r8
	mov	0x20(%rax), %r9
	mov	0x28(%rax), %r10
	mov	0x30(%rax), %r11
	mov	0x38(%rax), %r12
	mov	0x40(%rax), %r13
	mov	0x48(%rax), %r14
	mov	0x50(%rax), %r15
	call	*sgx_vdso_enter(%rip)

	mov	8(%rsp), %rcx
	mov	%rdi, 0x00(%rcx)
	mov	%rsi, 0x08(%rcx)
	mov	%rdx, 0x10(%rcx)
	mov	%r8, 0x18(%rcx)
	mov	%r9, 0x20(%rcx)
	mov	%r10, 0x28(%rcx)
	mov	%r11, 0x30(%rcx)
	mov	%r12, 0x38(%rcx)
	mov	%r13, 0x40(%rcx)
	mov	%r14, 0x48(%rcx)
	mov	%r15, 0x50(%rcx)

	cld				/* an enclave may exit with DF set */
	lea	-40(%rbp), %rsp
	pop	%r15
	pop	%r14
	pop	%r13
	pop	%r12
	pop	%rbx
	pop	%rbp
	.cfi_def_cfa		%rsp, 8
	ret
	.cfi_endproc
	.size	sgx_enter, . - sgx_enter

	.section .note.GNU-stack, "", @progbits
