// SPDX-License-Identifier: Apache-2.0
/* Signals of every kind; each subcommand is a test. */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

static volatile sig_atomic_t caught;
static siginfo_t last;

static void on_signal(int signal, siginfo_t *info, void *context)
{
	(void)signal;
	(void)context;
	last = *info;
	caught++;
}

static void catch(int signal, int flags)
{
	struct sigaction action = {
		.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | flags,
	};

	sigaction(signal, &action, NULL);
}

/* Timer expirations are counted, delivered or overrun: none may get lost. */
static int timer(void)
{
	struct sigevent event = {
		.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR2,
	};
	struct itimerspec every = {
		.it_value.tv_nsec = 1000000, .it_interval.tv_nsec = 1000000,
	};
	struct timespec start, now;
	long expected, got = 0;
	sigset_t set;
	timer_t id;

	catch(SIGUSR1, 0);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	sigprocmask(SIG_BLOCK, &set, NULL);
	if (timer_create(CLOCK_MONOTONIC, &event, &id))
		return 1;
	clock_gettime(CLOCK_MONOTONIC, &start);
	timer_settime(id, 0, &every, NULL);
	do {
		siginfo_t info;

		if (sigwaitinfo(&set, &info) == SIGUSR2)
			got += 1 + info.si_overrun;
		raise(SIGUSR1);
		clock_gettime(CLOCK_MONOTONIC, &now);
		expected = (now.tv_sec - start.tv_sec) * 1000 +
			   (now.tv_nsec - start.tv_nsec) / 1000000;
	} while (expected < 1000);
	printf("%s %s\n", got >= expected - 100 ? "in step" : "behind",
	       caught > 0 ? "raised" : "lost");
	return 0;
}

/* As many handlers run as real-time signals are queued. */
static int queued(void)
{
	union sigval value = { .sival_int = 77 };
	int i, sent = 0;

	catch(SIGRTMIN + 3, 0);
	for (i = 0; i < 1000; i++)
		sent += sigqueue(getpid(), SIGRTMIN + 3, value) == 0;
	printf("%d of %d, value %d, code %d, from us %d\n", (int)caught, sent,
	       last.si_value.sival_int, last.si_code, last.si_pid == getpid());
	return 0;
}

static int interval(void)
{
	struct itimerval every = { { 0, 1000 }, { 0, 1000 } };
	volatile double x = 1;

	catch(SIGALRM, SA_RESTART);
	setitimer(ITIMER_REAL, &every, NULL);
	while (caught < 500)
		x = x * 1.0000001 + 1;	/* vector registers must survive */
	printf("500 alarms\n");
	return 0;
}

static int alternate_stack(void)
{
	stack_t stack = { .ss_sp = malloc(65536), .ss_size = 65536 };
	volatile char *recursion;

	sigaltstack(&stack, NULL);
	catch(SIGSEGV, SA_ONSTACK | SA_RESETHAND);
	recursion = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	mprotect((void *)recursion, 4096, PROT_READ);
	struct sigaction action;

	sigaction(SIGSEGV, NULL, &action);
	printf("flags 0x%x handler %d\n", action.sa_flags & ~SA_NODEFER,
	       action.sa_sigaction == on_signal);
	raise(SIGSEGV);
	sigaction(SIGSEGV, NULL, &action);
	printf("caught %d, reset %d\n", (int)caught,
	       action.sa_handler == SIG_DFL);
	return 0;
}

static sigjmp_buf back;

static void jump_back(int signal, siginfo_t *info, void *context)
{
	ucontext_t *u = context;

	printf("signal %d code %d at the instruction %d trap %lld error %lld\n",
	       signal, info->si_code,
	       info->si_addr == (void *)u->uc_mcontext.gregs[REG_RIP],
	       u->uc_mcontext.gregs[REG_TRAPNO], u->uc_mcontext.gregs[REG_ERR]);
	siglongjmp(back, 1);
}

/* The processor's own exceptions outside any enclave. */
static int faults(void)
{
	static const int signals[] = { SIGILL, SIGSEGV, SIGBUS, SIGFPE, SIGTRAP };
	struct sigaction action = {
		.sa_sigaction = jump_back, .sa_flags = SA_SIGINFO,
	};
	volatile int zero = 0;
	volatile int which;
	size_t i;

	for (i = 0; i < 5; i++)
		sigaction(signals[i], &action, NULL);
	for (which = 0; which < 9; which++) {
		if (sigsetjmp(back, 1))
			continue;
		switch (which) {
		case 0:
			asm volatile("ud2");
		case 1:
			*(volatile int *)8 = 1;
		case 2:
			printf("%d\n", 1 / zero);
		case 3:
			asm volatile("int3");
			break;
		case 4:
			asm volatile("hlt");
		case 5:
			((void (*)(void))16)();
		case 6:
			*(volatile int *)(1ull << 62) = 1;
		case 7:
			asm volatile(".byte 0x0f, 0x0b, 0x0f, 0xa2");
		case 8:
			asm volatile("int $0x81");
		}
	}
	return 0;
}

/* Blocked or ignored faults kill, as they do without us. */
static int blocked_fault(int ignored)
{
	sigset_t all;

	if (ignored)
		signal(SIGILL, SIG_IGN);
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	asm volatile("ud2");
	return 0;
}

/* A signal sent is no fault, whatever its number: ignoring works. */
static int sent_faults(void)
{
	int i, signals[] = { SIGILL, SIGSEGV, SIGBUS, SIGFPE, SIGTRAP };

	for (i = 0; i < 5; i++) {
		signal(signals[i], SIG_IGN);
		raise(signals[i]);
		kill(getpid(), signals[i]);
		catch(signals[i], 0);
		raise(signals[i]);
		kill(getpid(), signals[i]);
		printf("%d: caught %d code %d\n", signals[i], (int)caught,
		       last.si_code);
	}
	return 0;
}

/* Prints which signals arrive, until SIGTERM. */
static void report(int number)
{
	char line[] = "got 00\n";

	line[4] += number / 10;
	line[5] += number % 10;
	if (write(1, line, 7) != 7)
		_exit(1);
	if (number == SIGTERM)
		_exit(5);
}

static int report_all(void)
{
	static const int numbers[] = {
		SIGHUP, SIGINT, SIGQUIT, SIGUSR1, SIGUSR2, SIGALRM, SIGTERM,
		SIGWINCH, SIGCONT, SIGTSTP, SIGURG, SIGIO, SIGPWR, SIGVTALRM,
	};
	size_t i;

	for (i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		signal(numbers[i], report);
	if (write(1, "ready\n", 6) != 6)
		return 1;
	for (;;)
		pause();
}

static int interrupted(void)
{
	int pipes[2];
	char byte;
	ssize_t n;

	if (pipe(pipes))
		return 1;
	catch(SIGALRM, 0);
	struct itimerval once = { { 0, 0 }, { 0, 20000 } };

	setitimer(ITIMER_REAL, &once, NULL);
	n = read(pipes[0], &byte, 1);
	printf("read %zd %s\n", n, strerror(errno));
	pid_t pid = fork();

	if (!pid) {
		kill(getppid(), SIGALRM);
		if (write(pipes[1], "x", 1) != 1)
			_exit(1);
		_exit(0);
	}
	catch(SIGALRM, SA_RESTART);
	n = read(pipes[0], &byte, 1);
	printf("read %zd restarted\n", n);
	wait(NULL);
	return 0;
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (!strcmp(what, "timer"))
		return timer();
	if (!strcmp(what, "queued"))
		return queued();
	if (!strcmp(what, "interval"))
		return interval();
	if (!strcmp(what, "alternate-stack"))
		return alternate_stack();
	if (!strcmp(what, "faults"))
		return faults();
	if (!strcmp(what, "blocked-fault"))
		return blocked_fault(0);
	if (!strcmp(what, "ignored-fault"))
		return blocked_fault(1);
	if (!strcmp(what, "sent-faults"))
		return sent_faults();
	if (!strcmp(what, "report"))
		return report_all();
	if (!strcmp(what, "interrupted"))
		return interrupted();
	return 2;
}
