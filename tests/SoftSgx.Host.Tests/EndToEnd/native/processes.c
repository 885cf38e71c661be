// SPDX-License-Identifier: Apache-2.0
/* Processes and threads made in every way there is; each subcommand is a test. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;
static const char *self;

static void fail(const char *what)
{
	printf("%s: %s\n", what, strerror(errno));
	exit(1);
}

static int wait_for(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, __WALL) != pid)
		fail("waitpid");
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static void *count(void *counter)
{
	char path[] = "/proc/self/status";
	int i;

	for (i = 0; i < 20; i++)	/* calls that a supervisor looks at */
		access(path, F_OK);
	__atomic_add_fetch((int *)counter, 1, __ATOMIC_RELAXED);
	return NULL;
}

static int threads(int n)
{
	pthread_t *thread = calloc(n, sizeof(*thread));
	int i, counter = 0;

	for (i = 0; i < n; i++)
		if (pthread_create(&thread[i], NULL, count, &counter))
			fail("pthread_create");
	for (i = 0; i < n; i++)
		pthread_join(thread[i], NULL);
	printf("%d threads\n", counter);
	return 0;
}

static int forks(int n)
{
	int i, sum = 0;
	pid_t pid;

	for (i = 0; i < n; i++) {
		pid = fork();
		if (pid < 0)
			fail("fork");
		if (!pid)
			_exit(i % 200);
	}
	for (i = 0; i < n; i++) {
		int status;

		if (wait(&status) < 0)
			fail("wait");
		sum += WEXITSTATUS(status);
	}
	printf("sum of statuses %d\n", sum);
	return 0;
}

/* Each process forks two more, to a depth. */
static int tree(int depth)
{
	int sum = 1, i;

	for (i = 0; depth > 0 && i < 2; i++) {
		pid_t pid = fork();

		if (!pid)
			_exit(tree(depth - 1));
		sum += wait_for(pid);
	}
	return sum;
}

static int spawns(int n)
{
	char *arguments[] = { (char *)self, "exit", "7", NULL };
	int i, sum = 0;
	pid_t pid;

	for (i = 0; i < n; i++) {
		errno = posix_spawn(&pid, self, NULL, NULL, arguments, environ);
		if (errno)
			fail("posix_spawn");
		sum += wait_for(pid);
	}
	printf("spawned %d\n", sum);
	errno = posix_spawn(&pid, "/no/such/file", NULL, NULL, arguments, environ);
	printf("missing: %s\n", strerror(errno));
	pid = vfork();
	if (!pid)
		_exit(9);
	printf("vfork %d\n", wait_for(pid));
	pid = vfork();
	if (!pid) {
		execve(self, arguments, environ);
		_exit(1);
	}
	printf("vfork and exec %d\n", wait_for(pid));
	return 0;
}

static int in_clone(void *value)
{
	*(int *)value += 1;
	return 5;
}

/* Address space, signal handlers and files shared in every mixture. */
static int clones(void)
{
	static const int flags[] = {
		0, CLONE_VM, CLONE_FS | CLONE_FILES, CLONE_VM | CLONE_SIGHAND,
		CLONE_VM | CLONE_VFORK, CLONE_PARENT_SETTID, CLONE_VM | CLONE_FS,
	};
	char *stack = mmap(NULL, 65536, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	size_t i;

	for (i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
		int value = 0, tid;
		pid_t pid = clone(in_clone, stack + 65536, flags[i] | SIGCHLD,
				  &value, &tid);

		if (pid < 0)
			fail("clone");
		int status = wait_for(pid);

		printf("clone 0x%x: status %d value %d\n", flags[i], status, value);
	}
	/* Ends with another signal, or none. */
	pid_t quiet = clone(in_clone, stack + 65536, SIGUSR1 * 0, &i);

	printf("without a signal: %d\n", wait_for(quiet));
	return 0;
}

static void *exec_it(void *arguments)
{
	execv(self, arguments);
	fail("execv");
	return NULL;
}

static void *spin(void *unused)
{
	for (;;)
		pause();
	return unused;
}

/* Exec by a thread that does not lead its group, beside others. */
static int exec_from_thread(const char *left)
{
	char next[16];
	char *again[] = { (char *)self, "exec-from-thread", next, NULL };
	pthread_t thread;
	int i;

	if (atoi(left) == 0) {
		printf("the last one leads its group: %d\n", getpid() == gettid());
		return 0;
	}
	snprintf(next, sizeof(next), "%d", atoi(left) - 1);
	for (i = 0; i < 10; i++)
		pthread_create(&thread, NULL, spin, NULL);
	pthread_create(&thread, NULL, exec_it, again);
	for (;;)
		pause();
}

/* The leader's thread ends first; the others go on, and one execs. */
static void *exec_without_leader(void *unused)
{
	char *arguments[] = { (char *)self, "say", "after the leader", NULL };
	char path[64], state = '?', line[512];

	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", getpid());
	while (state != 'Z') {	/* until the leader has ended */
		FILE *f = fopen(path, "re");

		if (f && fgets(line, sizeof(line), f))
			sscanf(strrchr(line, ')') + 2, "%c", &state);
		if (f)
			fclose(f);
		sched_yield();
	}
	exec_it(arguments);
	return unused;
}

static int leader_ends(void)
{
	pthread_t thread;

	pthread_create(&thread, NULL, exec_without_leader, NULL);
	pthread_exit(NULL);
}

static int exec_chain(const char *left)
{
	char next[16];
	char *again[] = { (char *)self, "exec-chain", next, NULL };

	if (atoi(left) == 0) {
		printf("end of the chain\n");
		return 0;
	}
	snprintf(next, sizeof(next), "%d", atoi(left) - 1);
	return exec_it(again) != NULL;
}

/* Many failing execs: a supervisor must not take them for real ones. */
static int exec_fails(void)
{
	char *arguments[] = { "x", NULL };
	int i;

	for (i = 0; i < 50; i++)
		execv(i % 2 ? "/no/such/file" : "/etc/passwd", arguments);
	execve((char *)1, arguments, environ);
	printf("still here: %s\n", strerror(errno));
	return 0;
}

static void become_daemon(void)
{
	if (fork())
		exit(0);
	setsid();
	if (fork())
		_exit(0);
}

/* "daemon FIFO": its parent has ended long since; waits for a line, and answers. */
static int daemon_of(const char *fifo)
{
	char line[64] = "";
	FILE *f;

	become_daemon();
	f = fopen(fifo, "re");
	if (!f || !fgets(line, sizeof(line), f))
		return 1;
	printf("the daemon got: %s", line);
	return 3;
}

/* The parent ends first; the child sees init, or the reaper, as its parent. */
static int orphan(void)
{
	int pipes[2];
	char byte;
	pid_t parent = getpid();

	if (pipe(pipes))
		fail("pipe");
	if (fork())
		return 6;	/* our end closes the write end */
	close(pipes[1]);
	if (read(pipes[0], &byte, 1) != 0)
		fail("read");
	while (getppid() == parent)
		sched_yield();
	printf("an orphan\n");
	return 0;
}

/* A child that stops and is continued; all of it seen by its parent. */
static int stop_and_continue(void)
{
	int seen[2], status;
	char byte = 0;
	pid_t pid;

	if (pipe(seen))
		fail("pipe");
	pid = fork();
	if (!pid) {
		raise(SIGSTOP);
		/* Another stop takes back what WCONTINUED would report. */
		if (read(seen[0], &byte, 1) == 1)
			raise(SIGTSTP);
		_exit(4);
	}
	waitpid(pid, &status, WUNTRACED);
	printf("stopped by %d\n", WIFSTOPPED(status) ? WSTOPSIG(status) : -1);
	kill(pid, SIGCONT);
	waitpid(pid, &status, WCONTINUED);
	printf("continued %d\n", WIFCONTINUED(status) != 0);
	if (write(seen[1], &byte, 1) != 1)
		fail("write");
	waitpid(pid, &status, WUNTRACED);
	printf("stopped by %d\n", WIFSTOPPED(status) ? WSTOPSIG(status) : -1);
	kill(pid, SIGCONT);
	waitpid(pid, &status, 0);
	printf("status %d\n", WEXITSTATUS(status));
	return 0;
}

/* A stopped child is killed; its parent must learn that. */
static int kill_stopped(void)
{
	pid_t pid = fork();
	int status;

	if (!pid) {
		raise(SIGSTOP);
		_exit(4);
	}
	waitpid(pid, &status, WUNTRACED);
	kill(pid, SIGKILL);
	printf("killed %d\n", wait_for(pid));
	return 0;
}

static void *kill_soon(void *unused)
{
	kill(getpid(), SIGKILL);
	return unused;
}

/* Threads that are being made while the process dies. */
static int killed_while_making_threads(void)
{
	int i, status;

	for (i = 0; i < 20; i++) {
		pid_t pid = fork();

		if (!pid) {
			pthread_t thread;

			pthread_create(&thread, NULL, kill_soon, NULL);
			for (;;)
				pthread_create(&thread, NULL, spin, NULL);
		}
		waitpid(pid, &status, 0);
		if (!WIFSIGNALED(status))
			fail("not killed");
	}
	printf("all killed\n");
	return 0;
}

static int parent_death(void)
{
	int ready[2];
	char byte = 0;
	pid_t pid;

	if (pipe(ready))
		return 1;
	pid = fork();
	if (!pid) {
		pid = fork();
		if (!pid) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			if (write(ready[1], &byte, 1) != 1)
				_exit(1);
			for (;;)
				pause();
		}
		/* Not before it asked for the signal: else none comes. */
		_exit(read(ready[0], &byte, 1) != 1);
	}
	wait_for(pid);
	printf("gone\n");
	return 0;
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	const char *value = argc > 2 ? argv[2] : "";

	self = argv[0];
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (!strcmp(what, "exit"))
		return atoi(value);
	if (!strcmp(what, "say"))
		return puts(value) == EOF;
	if (!strcmp(what, "threads"))
		return threads(atoi(value));
	if (!strcmp(what, "forks"))
		return forks(atoi(value));
	if (!strcmp(what, "tree"))
		return printf("%d processes\n", tree(atoi(value))) < 0;
	if (!strcmp(what, "spawns"))
		return spawns(atoi(value));
	if (!strcmp(what, "clones"))
		return clones();
	if (!strcmp(what, "exec-from-thread"))
		return exec_from_thread(value);
	if (!strcmp(what, "leader-ends"))
		return leader_ends();
	if (!strcmp(what, "exec-chain"))
		return exec_chain(value);
	if (!strcmp(what, "exec-fails"))
		return exec_fails();
	if (!strcmp(what, "daemon"))
		return daemon_of(value);
	if (!strcmp(what, "orphan"))
		return orphan();
	if (!strcmp(what, "stop-and-continue"))
		return stop_and_continue();
	if (!strcmp(what, "kill-stopped"))
		return kill_stopped();
	if (!strcmp(what, "killed-while-making-threads"))
		return killed_while_making_threads();
	if (!strcmp(what, "parent-death"))
		return parent_death();
	return 2;
}
