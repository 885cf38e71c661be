// SPDX-License-Identifier: Apache-2.0
/*
 * Prints everything that a program can see of how it was started. What differs
 * from start to start by nature (process ids) is printed relative to its parent.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

extern char **environ;

static void print_string(const char *label, const char *s)
{
	printf("%s ", label);
	for (; *s; s++)
		if (*s > ' ' && *s < 127 && *s != '%')
			putchar(*s);
		else
			printf("%%%02x", (unsigned char)*s);
	putchar('\n');
}

static void print_descriptors(void)
{
	char path[64], target[512];
	int fd;

	for (fd = 0; fd < 1024; fd++) {
		ssize_t length;
		int flags = fcntl(fd, F_GETFL);

		if (flags < 0)
			continue;
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		length = readlink(path, target, sizeof(target) - 1);
		target[length < 0 ? 0 : length] = '\0';
		if (strchr(target, '['))	/* pipe:[N], socket:[N] */
			*strchr(target, '[') = '\0';
		printf("fd %d flags 0x%x cloexec %d at %lld %s\n", fd, flags,
		       fcntl(fd, F_GETFD), (long long)lseek(fd, 0, SEEK_CUR),
		       target);
	}
}

static void print_status(void)
{
	static const char *const fields[] = {
		"Name", "Umask", "Uid", "Gid", "Groups",
		"SigPnd", "ShdPnd", "SigBlk", "SigIgn", "SigCgt", "CapInh",
		"CapPrm", "CapEff", "CapBnd", "CapAmb", "Threads",
		"Cpus_allowed", "Mems_allowed", "CoreDumping", "THP_enabled",
		"Speculation_Store_Bypass", "Kthread",
	};
	FILE *f = fopen("/proc/self/status", "re");
	char line[1024];
	size_t i;

	while (fgets(line, sizeof(line), f))
		for (i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
			size_t n = strlen(fields[i]);

			if (!strncmp(line, fields[i], n) && line[n] == ':')
				fputs(line, stdout);
		}
	fclose(f);
}

static void print_file(const char *path)
{
	char line[1024];
	FILE *f = fopen(path, "re");

	while (f && fgets(line, sizeof(line), f))
		printf("%s: %s", path, line);
	if (f)
		fclose(f);
}

int main(int argc, char **argv)
{
	char cwd[4096];
	struct rlimit limit;
	struct itimerval timer;
	stack_t stack;
	int i;
	char **e;

	for (i = 0; i < argc; i++)
		print_string("argument", argv[i]);
	for (e = environ; *e; e++)
		if (strncmp(*e, "RUN=", 4))
			print_string("environment", *e);
	print_string("cwd", getcwd(cwd, sizeof(cwd)) ? "somewhere" : strerror(errno));
	print_string("executable", (const char *)getauxval(AT_EXECFN));
	print_descriptors();
	print_status();
	for (i = 0; i < (int)RLIM_NLIMITS; i++) {
		getrlimit(i, &limit);
		printf("limit %d %lld %lld\n", i, (long long)limit.rlim_cur,
		       (long long)limit.rlim_max);
	}
	printf("in parent's group %d session %d\n",
	       getpgrp() == getpgid(getppid()), getsid(0) == getsid(getppid()));
	printf("leads group %d session %d\n", getpgrp() == getpid(),
	       getsid(0) == getpid());
	printf("nice %d scheduler %d\n", getpriority(PRIO_PROCESS, 0),
	       sched_getscheduler(0));
	for (i = 0; i < 3; i++) {
		getitimer(i, &timer);
		printf("timer %d %d\n", i, timer.it_value.tv_sec != 0);
	}
	sigaltstack(NULL, &stack);
	printf("alternate stack %d\n", stack.ss_flags);
	printf("death signal %d %d\n", prctl(PR_GET_PDEATHSIG, &i), i);
	printf("dumpable %d keepcaps %d slack %d securebits %d tsc %d\n",
	       prctl(PR_GET_DUMPABLE), prctl(PR_GET_KEEPCAPS),
	       prctl(PR_GET_TIMERSLACK), prctl(PR_GET_SECUREBITS),
	       prctl(PR_GET_TSC, &i));
	i = -1;
	prctl(PR_GET_CHILD_SUBREAPER, &i);
	printf("subreaper %d\n", i);
	printf("secure %lu pagesize %lu\n", getauxval(AT_SECURE),
	       getauxval(AT_PAGESZ));
	print_file("/proc/self/oom_score_adj");
	print_file("/proc/self/coredump_filter");
	print_file("/proc/self/personality");
	print_file("/proc/self/comm");
	print_file("/proc/self/cgroup");
	print_file("/proc/self/timerslack_ns");
	return 0;
}
