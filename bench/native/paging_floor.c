// SPDX-License-Identifier: Apache-2.0
/*
 * The floor under paging: a thread goes through 64 MiB of a memfd of which 16
 * may be present, page after page. For each missing page a handler decrypts it,
 * copies it in by userfaultfd, encrypts the oldest page and punches its hole.
 * Nothing else: no EPCM, no version arrays, no ageing, no locks. One processor
 * does it all. Prints "name value unit".
 *
 * libcrypto is loaded, not linked, so that its headers are not needed: .NET
 * uses the same library.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PAGE		4096ull
#define PAGES		16384ull	/* 64 MiB */
#define PRESENT		4096ull		/* 16 MiB */
#define CYCLES		3
#define TAG		16

#define EVP_CTRL_GET_TAG	0x10
#define EVP_CTRL_SET_TAG	0x11

#ifndef UFFD_USER_MODE_ONLY
#define UFFD_USER_MODE_ONLY	1
#endif

static void *(*context_new)(void);
static const void *(*aes_128_gcm)(void);
static int (*encrypt_init)(void *, const void *, void *, const void *, const void *);
static int (*encrypt_update)(void *, void *, int *, const void *, int);
static int (*encrypt_final)(void *, void *, int *);
static int (*decrypt_init)(void *, const void *, void *, const void *, const void *);
static int (*decrypt_update)(void *, void *, int *, const void *, int);
static int (*decrypt_final)(void *, void *, int *);
static int (*context_control)(void *, int, int, void *);

struct evicted {
	uint8_t bytes[PAGE];
	uint8_t tag[TAG];
	uint32_t iv[3];
};

static uint8_t *seen;		/* where pages are missed */
static uint8_t *alias;		/* where they never are */
static int memory, uffd;
static uint64_t batch;		/* holes punched in one call */
static void *encryptor, *decryptor;
static struct evicted *backing;

static void fail(const char *what)
{
	fprintf(stderr, "paging_floor: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void must(int ok)
{
	if (ok != 1) {
		fprintf(stderr, "paging_floor: AES-GCM failed\n");
		exit(1);
	}
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec * 1e-9;
}

static void *symbol(void *library, const char *name)
{
	void *function = dlsym(library, name);

	if (!function) {
		fprintf(stderr, "paging_floor: %s\n", dlerror());
		exit(1);
	}
	return function;
}

static void load_crypto(void)
{
	static const uint8_t key[16] = "page encryption";
	void *library = dlopen("libcrypto.so.3", RTLD_NOW);

	if (!library)
		library = dlopen("libcrypto.so.1.1", RTLD_NOW);
	if (!library) {
		fprintf(stderr, "paging_floor: %s\n", dlerror());
		exit(1);
	}
	context_new = symbol(library, "EVP_CIPHER_CTX_new");
	aes_128_gcm = symbol(library, "EVP_aes_128_gcm");
	encrypt_init = symbol(library, "EVP_EncryptInit_ex");
	encrypt_update = symbol(library, "EVP_EncryptUpdate");
	encrypt_final = symbol(library, "EVP_EncryptFinal_ex");
	decrypt_init = symbol(library, "EVP_DecryptInit_ex");
	decrypt_update = symbol(library, "EVP_DecryptUpdate");
	decrypt_final = symbol(library, "EVP_DecryptFinal_ex");
	context_control = symbol(library, "EVP_CIPHER_CTX_ctrl");
	encryptor = context_new();
	decryptor = context_new();
	must(encrypt_init(encryptor, aes_128_gcm(), NULL, key, NULL));
	must(decrypt_init(decryptor, aes_128_gcm(), NULL, key, NULL));
}

static void encrypt(uint64_t page)
{
	struct evicted *to = &backing[page];
	int length;

	to->iv[0]++;	/* never the same twice for a page */
	to->iv[1] = page;
	must(encrypt_init(encryptor, NULL, NULL, NULL, to->iv));
	must(encrypt_update(encryptor, to->bytes, &length, alias + page * PAGE, PAGE));
	must(encrypt_final(encryptor, to->bytes + PAGE, &length));
	must(context_control(encryptor, EVP_CTRL_GET_TAG, TAG, to->tag));
}

static void decrypt(uint64_t page, void *to)
{
	struct evicted *from = &backing[page];
	int length;

	must(decrypt_init(decryptor, NULL, NULL, NULL, from->iv));
	must(decrypt_update(decryptor, to, &length, from->bytes, PAGE));
	must(context_control(decryptor, EVP_CTRL_SET_TAG, TAG, from->tag));
	must(decrypt_final(decryptor, NULL, &length));
}

/* Serves faults for ever. The oldest page is the one PRESENT pages back. */
static void *handle(void *unused)
{
	uint8_t *buffer = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct uffdio_copy copy;
	struct uffd_msg event;
	uint64_t page, oldest, encrypted = 0;

	(void)unused;
	while (read(uffd, &event, sizeof(event)) == sizeof(event)) {
		page = (event.arg.pagefault.address - (uint64_t)seen) / PAGE;
		decrypt(page, buffer);
		copy = (struct uffdio_copy){
			.dst = (uint64_t)seen + page * PAGE, .src = (uint64_t)buffer, .len = PAGE,
		};
		if (ioctl(uffd, UFFDIO_COPY, &copy))
			fail("UFFDIO_COPY");
		oldest = (page + PAGES - PRESENT) % PAGES;
		encrypt(oldest);
		if (++encrypted % batch == 0 &&
		    fallocate(memory, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			      (oldest + 1 - batch) * PAGE, batch * PAGE))
			fail("punching a hole");
	}
	fail("reading the userfaultfd");
	return NULL;
}

static void prepare(void)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register range = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	uint64_t page;

	memory = memfd_create("floor", MFD_CLOEXEC);
	if (memory < 0 || ftruncate(memory, PAGES * PAGE))
		fail("memfd");
	seen = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
	alias = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
	backing = mmap(NULL, PAGES * sizeof(*backing), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (seen == MAP_FAILED || alias == MAP_FAILED || backing == MAP_FAILED)
		fail("mmap");
	for (page = 0; page < PAGES; page++) {
		*(uint64_t *)(alias + page * PAGE) = page;
		encrypt(page);
	}
	/* What is there at the start is what the handler takes for the oldest. */
	if (fallocate(memory, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, (PAGES - PRESENT) * PAGE))
		fail("punching the first hole");
	uffd = syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY);
	if (uffd < 0 || ioctl(uffd, UFFDIO_API, &api))
		fail("userfaultfd");
	range.range.start = (uint64_t)seen;
	range.range.len = PAGES * PAGE;
	if (ioctl(uffd, UFFDIO_REGISTER, &range))
		fail("UFFDIO_REGISTER");
}

/* Pages a second. */
static double touch(void)
{
	double start = now();
	uint64_t cycle, page;
	volatile uint64_t *word;

	for (cycle = 0; cycle < CYCLES; cycle++)
		for (page = 0; page < PAGES; page++) {
			word = (uint64_t *)(seen + page * PAGE);
			if (*word != page + cycle) {
				fprintf(stderr, "paging_floor: page %llu is wrong\n", (unsigned long long)page);
				exit(1);
			}
			*word = page + cycle + 1;
		}
	return PAGES * CYCLES / (now() - start);
}

/* The handler as another process, which is where a supervisor is. */
static pid_t start_process(void)
{
	pid_t pid = fork();

	if (pid < 0)
		fail("fork");
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		handle(NULL);
	}
	return pid;
}

/* Each measurement in a process of its own: nothing is left of the one before. */
static void measure(const char *name, uint64_t holes, bool process)
{
	pthread_t thread;
	pid_t pid = fork(), handler = 0;
	int status;

	if (pid < 0)
		fail("fork");
	if (pid) {
		if (waitpid(pid, &status, 0) != pid || status)
			exit(1);
		return;
	}
	batch = holes;
	prepare();
	if (process)
		handler = start_process();
	else if (pthread_create(&thread, NULL, handle, NULL))
		fail("pthread_create");
	printf("%s %.1f pages/s\n", name, touch());
	fflush(stdout);
	if (handler) {
		kill(handler, SIGKILL);
		waitpid(handler, NULL, 0);
	}
	_exit(0);
}

int main(void)
{
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(sched_getcpu(), &one);
	sched_setaffinity(0, sizeof(one), &one);
	load_crypto();
	measure("floor", 1, false);
	measure("floor_batches", 16, false);
	measure("floor_process", 1, true);
	return 0;
}
