// SPDX-License-Identifier: Apache-2.0
/*
 * What CPUID says of SGX, from the program and, if one is given, from a shared
 * library: cpuid [LIBRARY]. With -DLIBRARY it is the library.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

typedef void leaf_function(unsigned int leaf, unsigned int subleaf, unsigned int *r);

/* Not inlined: as in the compiler's <cpuid.h>, but once. */
__attribute__((noinline, visibility("default")))
void cpuid_leaf(unsigned int leaf, unsigned int subleaf, unsigned int *r)
{
	asm volatile("cpuid" : "=a"(r[0]), "=b"(r[1]), "=c"(r[2]), "=d"(r[3])
		     : "0"(leaf), "2"(subleaf));
}

#ifndef LIBRARY
static void report(const char *where, leaf_function *leaf)
{
	unsigned int r[4], maximum, i;
	char vendor[13] = "";

	leaf(0, 0, r);
	maximum = r[0];
	memcpy(vendor, &r[1], 4);
	memcpy(vendor + 4, &r[3], 4);
	memcpy(vendor + 8, &r[2], 4);
	printf("%s: vendor %s, leaf 0x12 %d", where, vendor, maximum >= 0x12);
	leaf(7, 0, r);
	printf(", SGX %d, SGX_LC %d", r[1] >> 2 & 1, r[2] >> 30 & 1);
	leaf(0x12, 0, r);
	printf(", SGX1 %d", r[0] & 1);
	leaf(0x12, 1, r);
	printf(", DEBUG %d MODE64BIT %d", r[0] >> 1 & 1, r[0] >> 2 & 1);
	for (i = 2; i < 10; i++) {
		leaf(0x12, i, r);
		if ((r[0] & 0xf) != 1)
			break;
		printf(", EPC %llu", (r[2] & 0xfffff000ull) |
		       (unsigned long long)(r[3] & 0xfffff) << 32);
	}
	printf(", sections %u\n", i - 2);
}

int main(int argc, char **argv)
{
	report("program", cpuid_leaf);
	if (argc > 1) {
		void *library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);

		if (!library) {
			puts(dlerror());
			return 1;
		}
		report("library", (leaf_function *)dlsym(library, "cpuid_leaf"));
	}
	return 0;
}
#endif
