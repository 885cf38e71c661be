// SPDX-License-Identifier: Apache-2.0
/*
 * building FILE: builds enclaves of measured code out of 4 MiB of a file, mapped
 * privately as loaders do, and prints what a page takes at best: "name value unit".
 *
 *	single	one page an ioctl, as Intel's SDK does
 *	range	all pages in one ioctl
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "../../samples/lib/sgx_arch.h"
#include "../../samples/lib/sgx_linux.h"

#define PAGES		1024ull
#define REPETITIONS	15
#define SIZE		(PAGES * 4096)
#define CODE		0x205	/* SECINFO: PT_REG, R, X */

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec * 1e-9;
}

static void must(int failed, const char *what)
{
	if (failed) {
		perror(what);
		exit(1);
	}
}

static double build(const uint8_t *code, uint64_t step)
{
	static _Alignas(4096) uint8_t secs_page[4096];
	static _Alignas(64) uint64_t secinfo[8] = { CODE };
	struct sgx_secs *secs = (struct sgx_secs *)secs_page;
	struct sgx_enclave_create create = { .src = (uint64_t)secs_page };
	double start = now();
	int fd = open("/dev/sgx_enclave", O_RDWR);

	must(fd < 0, "/dev/sgx_enclave");
	secs->size = SIZE;
	secs->base = 0x700000000000;
	secs->ssa_frame_pages = 1;
	secs->attributes = 4; /* MODE64BIT */
	secs->xfrm = 3;
	must(ioctl(fd, SGX_IOC_ENCLAVE_CREATE, &create), "CREATE");
	for (uint64_t at = 0; at < SIZE; at += step) {
		struct sgx_enclave_add_pages add = {
			.src = (uint64_t)code + at, .offset = at, .length = step,
			.secinfo = (uint64_t)secinfo, .flags = SGX_PAGE_MEASURE,
		};

		must(ioctl(fd, SGX_IOC_ENCLAVE_ADD_PAGES, &add), "ADD_PAGES");
	}
	start = (now() - start) / PAGES;
	close(fd);
	return start;
}

static void measure(const char *name, const uint8_t *code, uint64_t step)
{
	double best = build(code, step);

	for (int i = 1; i < REPETITIONS; i++) {
		double seconds = build(code, step);

		best = seconds < best ? seconds : best;
	}
	printf("%s %.3f us\n", name, best * 1e6);
}

int main(int argc, char **argv)
{
	int fd = argc == 2 ? open(argv[1], O_RDONLY) : -1;
	void *code = mmap(NULL, SIZE, PROT_READ, MAP_PRIVATE, fd, 0);

	must(code == MAP_FAILED, "building FILE");
	measure("range", code, SIZE);
	measure("single", code, 4096);
	return 0;
}
