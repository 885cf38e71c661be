// SPDX-License-Identifier: Apache-2.0
/*
 * The floor under an ECALL that traps twice: one stop by a seccomp filter and
 * one by SIGILL, each with the registers read, changed and written back, and
 * nothing else. Tracer and tracee share a processor, which is the fastest way.
 */
#define _GNU_SOURCE
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PAIRS		20000
#define REPETITIONS	5
#define ENCLU_LENGTH	3

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec * 1e-9;
}

static void stop_twice(void)
{
	asm volatile("mov $15, %%eax\n\tsyscall\n\t.byte 0x0f, 0x01, 0xd7"
		     : : : "rax", "rcx", "r11", "memory");
}

static int tracee(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_rt_sigreturn, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRACE),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { sizeof(code) / sizeof(code[0]), code };
	double best = 1e9;
	int i, r;

	raise(SIGSTOP);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program))
		return 1;
	for (r = 0; r < REPETITIONS; r++) {
		double start = now();

		for (i = 0; i < PAIRS; i++)
			stop_twice();
		start = (now() - start) / PAIRS;
		if (start < best)
			best = start;
	}
	printf("floor %.3f us\n", best * 1e6);
	return 0;
}

int main(void)
{
	struct user_regs_struct regs;
	cpu_set_t one;
	int status;
	pid_t pid;

	CPU_ZERO(&one);
	CPU_SET(sched_getcpu(), &one);
	sched_setaffinity(0, sizeof(one), &one);
	pid = fork();
	if (pid == 0)
		exit(tracee());
	waitpid(pid, &status, WUNTRACED);
	if (pid < 0 || ptrace(PTRACE_SEIZE, pid, 0, PTRACE_O_TRACESECCOMP | PTRACE_O_EXITKILL)) {
		perror("floor: ptrace");
		return 1;
	}
	kill(pid, SIGCONT);
	while (waitpid(pid, &status, __WALL) == pid && WIFSTOPPED(status)) {
		int signal = WSTOPSIG(status);

		if (status >> 16 == PTRACE_EVENT_SECCOMP) {
			ptrace(PTRACE_GETREGS, pid, 0, &regs);
			regs.orig_rax = -1;
			ptrace(PTRACE_SETREGS, pid, 0, &regs);
			signal = 0;
		} else if (status >> 16 == 0 && signal == SIGILL) {
			ptrace(PTRACE_GETREGS, pid, 0, &regs);
			regs.rip += ENCLU_LENGTH;
			ptrace(PTRACE_SETREGS, pid, 0, &regs);
			signal = 0;
		} else if (status >> 16) {
			signal = 0;
		}
		ptrace(PTRACE_CONT, pid, 0, signal);
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
