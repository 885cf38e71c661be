// SPDX-License-Identifier: Apache-2.0
/*
 * Work over a heap that may be larger than the EPC. Whatever the kernel does
 * with its pages meanwhile, every word that is read must be the word that was
 * written last, and the enclave is the one that knows: what a word must hold
 * follows from its place and from the pass, so nothing needs to be remembered.
 */
#include "../lib/enclave_rt.h"
#include "ecalls.h"

ENCLAVE_CONFIG(2, 4, 256 * 256);

#define WORDS_PER_PAGE	(SGX_PAGE_SIZE / sizeof(uint64_t))
#define SLOTS_PER_PAGE	(SGX_PAGE_SIZE / sizeof(struct slot))
/* How often the host learns how far we are. */
#define PAGES_PER_NOTE	32

struct slot {
	uint64_t key;		/* 0: free */
	uint64_t value;
};

/* The enclave's own copy of the work, and where the host looks for results. */
struct pass {
	struct bigheap_work work;
	struct bigheap_work *untrusted;
	uint64_t *heap;
	uint64_t pages;		/* of the heap */
};

/* Bijective, and no bit of the result is like a bit of the argument. */
static uint64_t mix(uint64_t x)
{
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
	return x ^ (x >> 31);
}

/* What word number i of the heap holds after a pass that writes. */
static uint64_t word_after(const struct pass *p, enum bigheap_ecall pass,
			   uint64_t i)
{
	uint64_t generation = p->work.round * BIGHEAP_PASSES + pass + 1;

	return mix(mix(p->work.seed + generation) + i);
}

static void note_error(struct pass *p, const void *address, uint64_t expected,
		       uint64_t found)
{
	if (p->work.errors++)
		return;
	p->work.address = (uint64_t)address;
	p->work.expected = expected;
	p->work.found = found;
}

static void expect(struct pass *p, const uint64_t *address, uint64_t expected)
{
	uint64_t found = *(const volatile uint64_t *)address;

	if (found != expected)
		note_error(p, address, expected, found);
}

static void note_page(struct pass *p)
{
	if (++p->work.pages % PAGES_PER_NOTE == 0)
		*(volatile uint64_t *)&p->untrusted->pages = p->work.pages;
}

/* The part of something that belongs to a thread: [start, end). */
static uint64_t share(const struct pass *p, uint64_t of, uint64_t thread)
{
	return of / p->work.threads * thread +
	       of % p->work.threads * thread / p->work.threads;
}

/*
 * The slice moves by one thread from pass to pass: what a thread reads is what
 * another one wrote.
 */
static void my_slice(const struct pass *p, enum bigheap_ecall pass,
		     uint64_t *start, uint64_t *end)
{
	uint64_t turn = (p->work.thread + pass) % p->work.threads;

	*start = share(p, p->pages, turn);
	*end = share(p, p->pages, turn + 1);
}

static void fill(struct pass *p)
{
	uint64_t page, end, i;

	my_slice(p, BIGHEAP_FILL, &page, &end);
	for (; page < end; page++, note_page(p))
		for (i = page * WORDS_PER_PAGE;
		     i < (page + 1) * WORDS_PER_PAGE; i++) {
			expect(p, p->heap + i, 0);
			p->heap[i] = word_after(p, BIGHEAP_FILL, i);
		}
}

static void check(struct pass *p)
{
	uint64_t page, end, i;

	my_slice(p, BIGHEAP_CHECK, &page, &end);
	for (; page < end; page++, note_page(p))
		for (i = page * WORDS_PER_PAGE;
		     i < (page + 1) * WORDS_PER_PAGE; i++) {
			expect(p, p->heap + i, word_after(p, BIGHEAP_FILL, i));
			p->heap[i] = word_after(p, BIGHEAP_CHECK, i);
		}
}

/* A bijection of the numbers below 2^bits, another one for each salt. */
static uint64_t scatter(uint64_t x, unsigned int bits, uint64_t salt)
{
	uint64_t mask = (1ull << bits) - 1;
	unsigned int half = bits / 2 + 1;
	int i;

	for (i = 0; i < 3; i++) {
		x = (x * 0x9e3779b97f4a7c15ull + salt) & mask;
		x ^= x >> half;
		salt = mix(salt + 1);
	}
	return x;
}

/*
 * Each thread visits each page once, in an order of its own, and has its own
 * words there: the pages are everybody's, the words are not.
 */
static void random(struct pass *p)
{
	uint64_t salt = mix(p->work.seed + p->work.round) + p->work.thread;
	uint64_t visit, page, i;
	unsigned int bits = 1;

	while (1ull << bits < p->pages)
		bits++;
	for (visit = 0; visit < 1ull << bits; visit++) {
		page = scatter(visit, bits, salt);
		if (page >= p->pages)
			continue;
		for (i = page * WORDS_PER_PAGE + p->work.thread;
		     i < (page + 1) * WORDS_PER_PAGE; i += p->work.threads) {
			expect(p, p->heap + i, word_after(p, BIGHEAP_CHECK, i));
			p->heap[i] = word_after(p, BIGHEAP_RANDOM, i);
		}
		note_page(p);
	}
}

static void clear(struct pass *p)
{
	uint64_t page, end, i;

	my_slice(p, BIGHEAP_CLEAR, &page, &end);
	for (; page < end; page++, note_page(p))
		for (i = page * WORDS_PER_PAGE;
		     i < (page + 1) * WORDS_PER_PAGE; i++) {
			expect(p, p->heap + i, word_after(p, BIGHEAP_RANDOM, i));
			p->heap[i] = 0;
		}
}

/* Different for different numbers, and never 0: mix() maps only 0 to 0. */
static uint64_t key_of(const struct pass *p, uint64_t number)
{
	return mix((number + 1) << 16 | (p->work.seed & 0xffff));
}

static uint64_t value_of(const struct pass *p, uint64_t key)
{
	return mix(key + p->work.seed + p->work.round);
}

/*
 * Open addressing over the whole heap: the slot of a key, or the free slot
 * where it would be. A table this empty always has one.
 */
static struct slot *find(struct pass *p, uint64_t key)
{
	struct slot *table = (struct slot *)p->heap;
	uint64_t slots = p->pages * SLOTS_PER_PAGE;
	uint64_t i = mix(key ^ p->work.seed) % slots, found;

	for (;; i = i + 1 == slots ? 0 : i + 1) {
		found = __atomic_load_n(&table[i].key, __ATOMIC_RELAXED);
		if (found == 0 || found == key)
			return table + i;
	}
}

static uint64_t keys(const struct pass *p)
{
	return p->pages * BIGHEAP_KEYS_PER_PAGE;
}

static void insert(struct pass *p)
{
	uint64_t number = share(p, keys(p), p->work.thread);
	uint64_t end = share(p, keys(p), p->work.thread + 1);
	uint64_t key, empty;
	struct slot *slot;

	for (; number < end; number++, note_page(p)) {
		key = key_of(p, number);
		do {	/* until no other thread takes the slot first */
			slot = find(p, key);
			if (slot->key == key)
				note_error(p, slot, 0, key);
			empty = 0;
		} while (!__atomic_compare_exchange_n(&slot->key, &empty, key,
				false, __ATOMIC_RELAXED, __ATOMIC_RELAXED) &&
			 empty != key);
		slot->value = value_of(p, key);
	}
}

static void look_up(struct pass *p)
{
	uint64_t other = (p->work.thread + 1) % p->work.threads;
	uint64_t number = share(p, keys(p), other);
	uint64_t end = share(p, keys(p), other + 1);
	uint64_t key;
	struct slot *slot;

	for (; number < end; number++, note_page(p)) {
		key = key_of(p, number);
		slot = find(p, key);
		expect(p, &slot->key, key);
		expect(p, &slot->value, value_of(p, key));
		if (number % BIGHEAP_HITS_PER_MISS)
			continue;
		slot = find(p, key_of(p, number + keys(p)));
		expect(p, &slot->key, 0);
		expect(p, &slot->value, 0);
		note_page(p);
	}
}

static void sweep(struct pass *p)
{
	uint64_t page, end, i;
	struct slot *slot;

	my_slice(p, BIGHEAP_SWEEP, &page, &end);
	for (; page < end; page++, note_page(p)) {
		slot = (struct slot *)(p->heap + page * WORDS_PER_PAGE);
		for (i = 0; i < SLOTS_PER_PAGE; i++, slot++) {
			expect(p, &slot->value,
			       slot->key ? value_of(p, slot->key) : 0);
			p->work.entries += slot->key != 0;
			slot->key = slot->value = 0;
		}
	}
}

static bool run(struct pass *p, uint64_t number)
{
	switch (number) {
	case BIGHEAP_FILL:
		fill(p);
		return true;
	case BIGHEAP_CHECK:
		check(p);
		return true;
	case BIGHEAP_RANDOM:
		random(p);
		return true;
	case BIGHEAP_CLEAR:
		clear(p);
		return true;
	case BIGHEAP_INSERT:
		insert(p);
		return true;
	case BIGHEAP_LOOKUP:
		look_up(p);
		return true;
	case BIGHEAP_SWEEP:
		sweep(p);
		return true;
	default:
		return false;
	}
}

/* 0 if the pass was made, whatever it found. */
uint64_t enclave_call(uint64_t number, void *argument,
		      struct enclave_frame *frame)
{
	struct pass p = { .untrusted = argument };

	(void)frame;
	if (!enclave_copy_in(&p.work, argument, sizeof(p.work)))
		return 1;
	if (p.work.threads == 0 || p.work.threads > ENCLAVE_MAX_THREADS ||
	    p.work.thread >= p.work.threads)
		return 1;
	p.work.pages = p.work.entries = p.work.errors = 0;
	p.heap = (uint64_t *)((uint8_t *)enclave_base() +
			      enclave_config.heap_offset);
	p.pages = enclave_config.heap_pages;
	return !run(&p, number) ||
	       !enclave_copy_out(argument, &p.work, sizeof(p.work));
}
