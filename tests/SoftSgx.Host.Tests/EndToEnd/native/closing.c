// SPDX-License-Identifier: Apache-2.0
/*
 * One thread closes the descriptor while another is in an ioctl on it that
 * needs more EPC pages than there are. As with Linux, the call goes on to its
 * end, and the enclave goes then.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE	4096ul
#define PAGES	4000ul

static uint8_t *source;
static int device;

static void *close_it(void *unused)
{
	unsigned char resident = 0;

	/* The call has begun when the first page was read. */
	while (!(resident & 1))
		if (mincore(source, PAGE, &resident))
			return "mincore";
	if (close(device))
		return "close";
	return unused;
}

int main(void)
{
	static uint64_t secs[512] __attribute__((aligned(4096)));
	uint64_t create[1] = { (uint64_t)secs };
	uint64_t info[8] __attribute__((aligned(64))) = { 0x203 };
	uint64_t add[6] = { 0, 0, PAGES * PAGE, (uint64_t)info, 0, 0 };
	pthread_t thread;
	void *failed;
	int i;

	for (i = 0; i < 3; i++) {
		source = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		device = open("/dev/sgx_enclave", O_RDWR);
		secs[0] = 4096 * PAGE;
		((uint32_t *)secs)[4] = 1;
		secs[6] = 4;
		secs[7] = 3;
		add[0] = (uint64_t)source;
		add[5] = 0;
		if (device < 0 || ioctl(device, 0x4008A400, create)) {
			perror("create");
			return 1;
		}
		if (pthread_create(&thread, NULL, close_it, NULL))
			return 1;
		if (ioctl(device, 0xC030A401, add) || add[5] != PAGES * PAGE) {
			perror("add");
			return 1;
		}
		pthread_join(thread, &failed);
		if (failed) {
			perror(failed);
			return 1;
		}
		munmap(source, PAGES * PAGE);
	}
	return 0;
}
