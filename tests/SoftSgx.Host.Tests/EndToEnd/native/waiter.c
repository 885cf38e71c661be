// SPDX-License-Identifier: Apache-2.0
/*
 * Runs a command and tells how it ended and what it left behind:
 *
 *	waiter REPORT SECONDS COMMAND...
 *
 * REPORT is a file that gets one line for each fact: "exit N" or "signal N"
 * when the command ended, "left NAME" for each process of its that still lives
 * then (they are killed), "timeout" when it took longer than that.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define GRACE_SECONDS 5	/* for processes that are dying when the command ends */

static FILE *report;

static time_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec;
}

static void tell_name(pid_t pid)
{
	char path[64], line[256], name[128] = "?", state[128] = "?";
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f)) {
		sscanf(line, "Name: %127[^\n]", name);
		sscanf(line, "State: %127[^\n]", state);
	}
	if (f)
		fclose(f);
	fprintf(report, "left %s (%s)\n", name, state);
}

static void descend(pid_t pid, void (*act)(pid_t));

static void descend_from_thread(pid_t pid, const char *tid, void (*act)(pid_t))
{
	char path[64];
	FILE *f;
	int child;

	snprintf(path, sizeof(path), "/proc/%d/task/%.16s/children", pid, tid);
	f = fopen(path, "re");
	while (f && fscanf(f, "%d", &child) == 1) {
		descend(child, act);
		act(child);
	}
	if (f)
		fclose(f);
}

/* Does something to every descendant, children last. */
static void descend(pid_t pid, void (*act)(pid_t))
{
	struct dirent *entry;
	char path[64];
	DIR *tasks;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	tasks = opendir(path);
	while (tasks && (entry = readdir(tasks)))
		if (entry->d_name[0] != '.')
			descend_from_thread(pid, entry->d_name, act);
	if (tasks)
		closedir(tasks);
}

static void kill_it(pid_t pid)
{
	kill(pid, SIGKILL);
}

static void kill_all(void)
{
	siginfo_t info;

	do {
		descend(getpid(), kill_it);
		while (waitpid(-1, NULL, WNOHANG | __WALL) > 0)
			;
		usleep(1000);
	} while (!waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT | __WALL));
}

int main(int argc, char **argv)
{
	time_t end = now() + atoi(argv[2]);
	struct timespec slice = { .tv_nsec = 200 * 1000 * 1000 };
	int status, ended = 0;
	sigset_t chld;
	pid_t pid, child;

	if (argc < 4)
		return 2;
	report = fopen(argv[1], "we");
	setsid();
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	sigemptyset(&chld);
	sigaddset(&chld, SIGCHLD);
	sigprocmask(SIG_BLOCK, &chld, NULL);
	child = fork();
	if (!child) {
		sigprocmask(SIG_UNBLOCK, &chld, NULL);
		setpgid(0, 0);
		for (status = 1; status < 65; status++)
			signal(status, SIG_DFL);
		close_range(3, ~0u, 0);
		execvp(argv[3], argv + 3);
		_exit(127);
	}
	for (;;) {
		while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
			if (pid != child)
				continue;
			ended = 1;
			end = now() + GRACE_SECONDS;
			if (WIFEXITED(status))
				fprintf(report, "exit %d\n", WEXITSTATUS(status));
			else
				fprintf(report, "signal %d\n", WTERMSIG(status));
		}
		if (pid < 0 && errno == ECHILD)
			return 0;
		if (now() >= end)
			break;
		sigtimedwait(&chld, NULL, &slice);
	}
	if (!ended)
		fprintf(report, "timeout\n");
	descend(getpid(), tell_name);
	kill_all();
	return 0;
}
