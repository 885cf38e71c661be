// SPDX-License-Identifier: Apache-2.0
/*
 * Looking up a function in the vDSO, the small shared library that the kernel
 * maps into each process. libc does not export it for symbols it does not use
 * itself. The dynamic symbol table has no length of its own: DT_HASH tells it,
 * else DT_GNU_HASH, else the section headers.
 */
#include <elf.h>
#include <stdint.h>
#include <string.h>
#include <sys/auxv.h>

#include "vdso.h"

struct symbols {
	const Elf64_Sym *table;
	const char *names;
	size_t count;
};

/* Some loaders turn the offsets of a dynamic section into addresses. */
static const void *at(uint64_t base, uint64_t address)
{
	return (const void *)(address < base ? base + address : address);
}

static size_t count_gnu_hash(const uint32_t *hash)
{
	uint32_t buckets = hash[0], first = hash[1], bloom = hash[2];
	const uint32_t *bucket = hash + 4 + 2 * bloom;
	const uint32_t *chain = bucket + buckets;
	uint32_t i, last = 0;

	for (i = 0; i < buckets; i++)
		if (bucket[i] > last)
			last = bucket[i];
	if (last < first)
		return first;
	while (!(chain[last - first] & 1))
		last++;
	return last + 1;
}

static const Elf64_Dyn *find_dynamic(uint64_t base, uint64_t *load)
{
	const Elf64_Ehdr *header = (const void *)base;
	const Elf64_Phdr *segment = (const void *)(base + header->e_phoff);
	const Elf64_Dyn *dynamic = NULL;
	int i, first = 1;

	*load = base;
	for (i = 0; i < header->e_phnum; i++) {
		if (segment[i].p_type == PT_LOAD && first) {
			*load = base + segment[i].p_offset - segment[i].p_vaddr;
			first = 0;
		} else if (segment[i].p_type == PT_DYNAMIC) {
			dynamic = (const void *)(base + segment[i].p_offset);
		}
	}
	return dynamic;
}

static void find_by_dynamic(uint64_t base, struct symbols *symbols)
{
	uint64_t load;
	const Elf64_Dyn *d = find_dynamic(base, &load);

	for (; d && d->d_tag != DT_NULL; d++) {
		if (d->d_tag == DT_SYMTAB)
			symbols->table = at(load, d->d_un.d_ptr);
		else if (d->d_tag == DT_STRTAB)
			symbols->names = at(load, d->d_un.d_ptr);
		else if (d->d_tag == DT_HASH)
			symbols->count = ((uint32_t *)at(load, d->d_un.d_ptr))[1];
		else if (d->d_tag == DT_GNU_HASH && !symbols->count)
			symbols->count = count_gnu_hash(at(load, d->d_un.d_ptr));
	}
}

static void find_by_sections(uint64_t base, struct symbols *symbols)
{
	const Elf64_Ehdr *header = (const void *)base;
	const Elf64_Shdr *section = (const void *)(base + header->e_shoff);
	const Elf64_Shdr *names;
	int i;

	for (i = 0; header->e_shoff && i < header->e_shnum; i++) {
		if (section[i].sh_type != SHT_DYNSYM)
			continue;
		names = section + section[i].sh_link;
		symbols->table = (const void *)(base + section[i].sh_offset);
		symbols->names = (const void *)(base + names->sh_offset);
		symbols->count = section[i].sh_size / sizeof(Elf64_Sym);
	}
}

void *vdso_symbol(const char *name)
{
	uint64_t base = getauxval(AT_SYSINFO_EHDR), load;
	struct symbols symbols = { 0 };
	const Elf64_Sym *s;

	if (!base)
		return NULL;
	find_dynamic(base, &load);
	find_by_dynamic(base, &symbols);
	if (!symbols.table || !symbols.names || !symbols.count)
		find_by_sections(base, &symbols);
	for (s = symbols.table; symbols.count--; s++)
		if (s->st_shndx != SHN_UNDEF &&
		    !strcmp(symbols.names + s->st_name, name))
			return (void *)(load + s->st_value);
	return NULL;
}
