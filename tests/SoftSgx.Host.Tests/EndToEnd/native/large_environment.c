// SPDX-License-Identifier: Apache-2.0
/* large_environment BYTES COMMAND...: with an environment of that many bytes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LONGEST (128 * 1024 - 1)	/* MAX_ARG_STRLEN, with the NUL */

int main(int argc, char **argv)
{
	long bytes = argc > 2 ? atol(argv[1]) : 0;
	int i;

	for (i = 0; bytes > 0; i++) {
		long length = bytes > LONGEST - 16 ? LONGEST - 16 : bytes;
		char name[16], *value = malloc(length + 1);

		memset(value, 'a' + i % 26, length);
		value[length] = '\0';
		snprintf(name, sizeof(name), "LARGE_%d", i);
		setenv(name, value, 1);
		bytes -= length;
	}
	execvp(argv[2], argv + 2);
	perror(argv[2]);
	return 127;
}
