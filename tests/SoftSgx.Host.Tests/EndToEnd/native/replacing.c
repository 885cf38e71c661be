// SPDX-License-Identifier: Apache-2.0
/*
 * One thread maps an enclave and takes it away again, a second one creates the
 * enclave meanwhile, and a third has memory of its own, which the kernel often
 * puts where the enclave was mapped: that nobody else may touch.
 * replacing ROUNDS
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE	4096ul
#define SIZE	(64 * PAGE)

static int device, rounds;
static volatile int done;
static pthread_barrier_t barrier;

static void *map_enclave(void *unused)
{
	int round, i;

	for (round = 0; round < rounds; round++) {
		pthread_barrier_wait(&barrier);
		for (i = 0; i < 10; i++) {
			void *p = mmap(NULL, SIZE, PROT_READ, MAP_SHARED, device, 0);

			if (p != MAP_FAILED)
				munmap(p, SIZE);
		}
		pthread_barrier_wait(&barrier);
	}
	return unused;
}

static void *map_memory(void *unused)
{
	unsigned int i, value;

	for (value = 0; !done; value++) {
		uint8_t *p = mmap(NULL, SIZE, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (p == MAP_FAILED)
			return "mmap";
		memset(p, value, SIZE);
		for (i = 0; i < SIZE; i++)
			if (p[i] != (uint8_t)value)
				return "memory changed";
		munmap(p, SIZE);
	}
	return unused;
}

int main(int argc, char **argv)
{
	static uint64_t secs[512] __attribute__((aligned(4096)));
	uint64_t create[1] = { (uint64_t)secs };
	pthread_t mapper, owner;
	void *failed;
	int round;

	rounds = argc > 1 ? atoi(argv[1]) : 100;
	secs[0] = SIZE;
	secs[1] = 0x100000000000;
	((uint32_t *)secs)[4] = 1;
	secs[6] = 4;
	secs[7] = 3;
	pthread_barrier_init(&barrier, NULL, 2);
	if (pthread_create(&mapper, NULL, map_enclave, NULL) ||
	    pthread_create(&owner, NULL, map_memory, NULL))
		return 1;
	for (round = 0; round < rounds; round++) {
		volatile int wait = round % 16 * 1000;

		device = open("/dev/sgx_enclave", O_RDWR);
		if (device < 0)
			return 1;
		pthread_barrier_wait(&barrier);
		while (wait)
			wait--;
		if (ioctl(device, 0x4008A400, create)) {
			perror("create");
			return 1;
		}
		pthread_barrier_wait(&barrier);
		close(device);
	}
	done = 1;
	pthread_join(mapper, NULL);
	pthread_join(owner, &failed);
	if (failed) {
		puts(failed);
		return 1;
	}
	return 0;
}
