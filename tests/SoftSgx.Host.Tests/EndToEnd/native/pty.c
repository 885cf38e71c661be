// SPDX-License-Identifier: Apache-2.0
/*
 * Sits at a terminal in a user's place:
 *
 *	pty SCRIPT COMMAND...
 *
 * SCRIPT's lines: "expect TEXT" waits until the terminal has shown TEXT after
 * what earlier lines waited for; "type TEXT" types, with \r \n \e and \xHH;
 * "size ROWS COLUMNS" resizes; "stopped" waits until COMMAND has stopped;
 * "continue" continues it; "kill N" sends it signal N. Then the terminal hangs about until COMMAND ends;
 * its end is the last line of the output, after all that the terminal showed.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LIMIT_SECONDS 60

static char shown[1 << 20];
static size_t length, seen;
static int terminal;
static pid_t command;

static void end(const char *what, int status)
{
	kill(-command, SIGKILL);
	printf("%.*s\n[%s]\n", (int)length, shown, what);
	exit(status);
}

/* Reads what there is; false at the end. */
static int more(int timeout)
{
	struct pollfd p = { .fd = terminal, .events = POLLIN };
	ssize_t n;

	if (poll(&p, 1, timeout) <= 0)
		return 1;
	n = read(terminal, shown + length, sizeof(shown) - 1 - length);
	if (n <= 0)
		return 0;
	length += n;
	return 1;
}

static void expect(const char *text)
{
	time_t limit = time(NULL) + LIMIT_SECONDS;

	for (;;) {
		char *at = memmem(shown + seen, length - seen, text, strlen(text));
		char message[256];

		if (at) {
			seen = at - shown + strlen(text);
			return;
		}
		if (!more(100) || time(NULL) > limit) {
			snprintf(message, sizeof(message), "never saw: %s", text);
			end(message, 1);
		}
	}
}

static void type(const char *text)
{
	char bytes[512];
	size_t n = 0;

	for (; *text; text++) {
		if (*text != '\\') {
			bytes[n++] = *text;
			continue;
		}
		text++;
		if (*text == 'x') {
			char hex[3] = { text[1], text[2], 0 };

			bytes[n++] = strtol(hex, NULL, 16);
			text += 2;
		} else {
			bytes[n++] = *text == 'r' ? '\r' : *text == 'n' ? '\n' : 27;
		}
	}
	if (write(terminal, bytes, n) != (ssize_t)n)
		end("cannot type", 1);
}

static void wait_for_stop(void)
{
	time_t limit = time(NULL) + LIMIT_SECONDS;
	int status;

	for (;;) {
		pid_t pid = waitpid(command, &status, WUNTRACED | WNOHANG);

		if (pid == command && WIFSTOPPED(status))
			return;
		if (pid == command)
			end("ended instead of stopping", 1);
		if (time(NULL) > limit)
			end("never stopped", 1);
		more(10);
	}
}

int main(int argc, char **argv)
{
	struct winsize size = { .ws_row = 24, .ws_col = 80 };
	char line[1024];
	FILE *script;
	int status;

	if (argc < 3 || !(script = fopen(argv[1], "re")))
		return 2;
	command = forkpty(&terminal, NULL, NULL, &size);
	if (!command) {
		setenv("TERM", "dumb", 1);
		execvp(argv[2], argv + 2);
		_exit(127);
	}
	while (fgets(line, sizeof(line), script)) {
		line[strcspn(line, "\n")] = '\0';
		if (!strncmp(line, "expect ", 7))
			expect(line + 7);
		else if (!strncmp(line, "type ", 5))
			type(line + 5);
		else if (sscanf(line, "size %hu %hu", &size.ws_row, &size.ws_col) == 2)
			ioctl(terminal, TIOCSWINSZ, &size);
		else if (!strcmp(line, "stopped"))
			wait_for_stop();
		else if (!strncmp(line, "kill ", 5))
			kill(command, atoi(line + 5));
		else if (!strcmp(line, "continue"))
			kill(-command, SIGCONT);
		else if (*line)
			end("what?", 2);
	}
	while (more(-1))
		;
	waitpid(command, &status, 0);
	snprintf(line, sizeof(line), WIFEXITED(status) ? "exit %d" : "signal %d",
		 WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
	end(line, 0);
}
