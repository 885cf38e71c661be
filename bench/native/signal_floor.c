// SPDX-License-Identifier: Apache-2.0
/*
 * The floor under signals of a supervised program: a tracer that does nothing
 * but let the program go on with each,
 *
 *	signal_floor stop PROGRAM [ARGUMENT...]
 *	signal_floor registers PROGRAM [ARGUMENT...]
 *
 * or reads and writes registers and extended state in between, as an
 * asynchronous exit needs it.
 */
#define _GNU_SOURCE
#include <elf.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

static void exchange_registers(pid_t pid)
{
	static char state[16384];
	struct user_regs_struct regs;
	struct iovec xstate = { .iov_base = state, .iov_len = sizeof(state) };

	ptrace(PTRACE_GETREGS, pid, 0, &regs);
	ptrace(PTRACE_GETREGSET, pid, NT_X86_XSTATE, &xstate);
	ptrace(PTRACE_SETREGS, pid, 0, &regs);
	ptrace(PTRACE_SETREGSET, pid, NT_X86_XSTATE, &xstate);
}

int main(int argc, char **argv)
{
	int status, registers;
	pid_t pid;

	if (argc < 3)
		return 2;
	registers = !strcmp(argv[1], "registers");
	pid = fork();
	if (pid == 0) {
		raise(SIGSTOP);
		execv(argv[2], argv + 2);
		_exit(127);
	}
	waitpid(pid, &status, WUNTRACED);
	if (pid < 0 || ptrace(PTRACE_SEIZE, pid, 0, PTRACE_O_EXITKILL)) {
		perror("signal_floor: ptrace");
		return 1;
	}
	kill(pid, SIGCONT);
	while (waitpid(pid, &status, __WALL) == pid && WIFSTOPPED(status)) {
		int signal = status >> 16 ? 0 : WSTOPSIG(status);

		if (signal && registers)
			exchange_registers(pid);
		ptrace(PTRACE_CONT, pid, 0, signal);
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
