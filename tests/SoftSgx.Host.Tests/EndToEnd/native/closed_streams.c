// SPDX-License-Identifier: Apache-2.0
/* Writes into a file which of descriptors 0 to 9 are open and on what. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	char path[64], target[256];
	FILE *list;
	int fd, open[10];

	for (fd = 0; fd < 10; fd++) {
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		open[fd] = access(path, F_OK) == 0;
	}
	list = argc > 1 ? fopen(argv[1], "we") : NULL;
	if (!list)
		return 1;
	for (fd = 0; fd < 10; fd++) {
		ssize_t length;

		if (!open[fd])
			continue;
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		length = readlink(path, target, sizeof(target) - 1);
		target[length < 0 ? 0 : length] = '\0';
		if (strchr(target, '['))
			*strchr(target, '[') = '\0';
		fprintf(list, "%d %s\n", fd, target);
	}
	fprintf(list, ".\n");
	return 0;
}
