// SPDX-License-Identifier: Apache-2.0
/*
 * Starts a command with arguments and an environment that a shell would not
 * make, but execve() takes: odd_start COMMAND...
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	static char *odd[] = {
		"", "\xff\xfe", "a\nb", "\t", "--", "@x", "tr\xc3\xa4iling", "", NULL
	};
	static char *environment[] = {
		"Z=last first", "PATH=/usr/local/bin:/usr/bin:/bin", "A=1",
		"NO-EQUALS-SIGN", "=", "=leading", "A=again", "odd-name=1",
		"BASH_FUNC_printf%%=() { :; }", "BYTES=\xff\xfe\x80", "EMPTY=",
		"SHLVL=7", "PWD=/elsewhere", "OLDPWD=/before", "_=/x/y",
		"BASH_ENV=/no/such/file", "DOTNET_STARTUP_HOOKS=/no/such/hook.dll",
		"LINES\nBREAK=1", "IFS=x", "SHELLOPTS=xtrace", "PS4=echo ",
		"POSIXLY_CORRECT=1", "HOME=/nowhere", "", NULL
	};
	char **arguments = calloc(argc + 10, sizeof(char *));
	int i, n = 0;

	for (i = 1; i < argc; i++)
		arguments[n++] = argv[i];
	for (i = 0; odd[i]; i++)
		arguments[n++] = odd[i];
	execve(argv[1], arguments, environment);
	perror(argv[1]);
	return 127;
}
