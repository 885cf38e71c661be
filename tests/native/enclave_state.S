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

/*
 * hold_state_avx512(in, out, flag): the same with all of AVX-512's registers;
 * struct wide_state: zmm0 … zmm31, k0 … k7.
 */
	.globl	hold_state_avx512
	.hidden	hold_state_avx512
	.type	hold_state_avx512, @function
hold_state_avx512:
	.irp	n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
	vmovdqu64 64 * \n(%rdi), %zmm\n
	.endr
	.irp	n, 0, 1, 2, 3, 4, 5, 6, 7
	kmovq	2048 + 8 * \n(%rdi), %k\n
	.endr
1:	cmpl	$0, (%rdx)
	je	1b
	.irp	n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
	vmovdqu64 %zmm\n, 64 * \n(%rsi)
	vpxorq	%zmm\n, %zmm\n, %zmm\n
	.endr
	.irp	n, 0, 1, 2, 3, 4, 5, 6, 7
	kmovq	%k\n, 2048 + 8 * \n(%rsi)
	kxorq	%k\n, %k\n, %k\n
	.endr
	ret
	.size	hold_state_avx512, . - hold_state_avx512

/* hold_flags(flags, flag): with these RFLAGS until the u32 at flag is not zero. */
	.globl	hold_flags
	.hidden	hold_flags
	.type	hold_flags, @function
hold_flags:
	push	%rdi
	popfq
1:	mov	(%rsi), %ecx		/* nothing here changes a flag */
	jrcxz	1b
	pushfq
	pop	%rax
	push	$2
	popfq
	ret
	.size	hold_flags, . - hold_flags

/*
 * notified_return(state, xsave): from the handler of AEX-Notify, one SSA frame up, back
 * to what an asynchronous exit interrupted. As soon as EDECCSSA is done another
 * exit overwrites the frame, so what it holds is copied before; and once
 * AEX-Notify is on again another handler overwrites this stack, so by then the rest
 * lies on the interrupted one, below its red zone.
 */
	.globl	notified_return
	.hidden	notified_return
	.type	notified_return, @function
notified_return:
	movb	$0, 0xa7(%rdi)		/* AEXNOTIFY */
	mov	$-1, %eax
	mov	%eax, %edx
	xrstor64 (%rsi)
	mov	0x20(%rdi), %rcx	/* its RSP */
	sub	$128 + 32, %rcx
	mov	0x88(%rdi), %rax	/* RIP */
	mov	%rax, 24(%rcx)
	mov	0x80(%rdi), %rax	/* RFLAGS */
	mov	%rax, 16(%rcx)
	mov	0x00(%rdi), %rax
	mov	%rax, 8(%rcx)
	mov	0x10(%rdi), %rax	/* RDX */
	mov	%rax, 0(%rcx)
	mov	%rdi, %rdx
	push	%rcx
	.irp	offset, 0x78, 0x70, 0x68, 0x60, 0x58, 0x50, 0x48, 0x40, 0x38, 0x30, 0x28, 0x18, 0x08
	pushq	\offset(%rdi)
	.endr
	mov	$9, %eax
	enclu				/* EDECCSSA */
	pop	%rcx
	pop	%rbx
	pop	%rbp
	pop	%rsi
	pop	%rdi
	pop	%r8
	pop	%r9
	pop	%r10
	pop	%r11
	pop	%r12
	pop	%r13
	pop	%r14
	pop	%r15
	pop	%rsp
	movb	$1, 0xa7(%rdx)
	pop	%rdx
	pop	%rax
	popfq
	ret	$128
	.size	notified_return, . - notified_return

	.section .note.GNU-stack, "", @progbits
