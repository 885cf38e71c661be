// SPDX-License-Identifier: Apache-2.0
/* From an enclave's file to its layout: which page holds what. */
#define _GNU_SOURCE
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "loader.h"
#include "report_error.h"

#define PAGE		SGX_PAGE_SIZE
#define MAX_SEGMENTS	8
#define EXCEPTION_STACK_PAGES	2

/* Pages of a thread, in the order of enclave_layout.h. */
struct thread_layout {
	uint64_t stack;
	uint64_t stack_top;
	uint64_t exception;
	uint64_t exception_top;		/* and there the thread's own page */
	uint64_t ssa;
	uint64_t tcs;
	uint64_t size;
};

struct file {
	const char *path;
	uint8_t *bytes;
	size_t size;
};

static uint64_t page_up(uint64_t x)
{
	return (x + PAGE - 1) & ~(PAGE - 1);
}

static int bad_file(const struct file *file, const char *why)
{
	report_error("%s: %s", file->path, why);
	errno = ENOEXEC;
	return -1;
}

static int read_file(struct file *file)
{
	int fd = open(file->path, O_RDONLY | O_CLOEXEC);
	struct stat status;
	ssize_t n = -1;

	if (fd >= 0 && fstat(fd, &status) == 0) {
		file->size = status.st_size;
		file->bytes = malloc(file->size + 1);
		if (file->bytes)
			n = read(fd, file->bytes, file->size);
	}
	if (n < 0)
		report_errno("cannot read the enclave's file %s", file->path);
	if (fd >= 0)
		close(fd);
	if (n < 0)
		return -1;
	if ((size_t)n != file->size)
		return bad_file(file, "the file changed while it was read");
	return 0;
}

static int check_header(const struct file *file)
{
	const Elf64_Ehdr *header = (const void *)file->bytes;
	uint64_t table;

	if (file->size < sizeof(*header) ||
	    memcmp(header->e_ident, ELFMAG, SELFMAG) ||
	    header->e_ident[EI_CLASS] != ELFCLASS64 ||
	    header->e_machine != EM_X86_64 || header->e_type != ET_DYN)
		return bad_file(file, "not a position-independent x86-64 ELF file");
	table = (uint64_t)header->e_phnum * sizeof(Elf64_Phdr);
	if (header->e_phentsize != sizeof(Elf64_Phdr) ||
	    header->e_phoff > file->size || table > file->size - header->e_phoff)
		return bad_file(file, "the program headers are not in the file");
	return 0;
}

static struct enclave_region *new_region(struct enclave *e, const char *name,
					 uint64_t offset, uint64_t size)
{
	struct enclave_region *r = &e->regions[e->nr_regions++];

	r->name = name;
	r->offset = offset;
	r->size = size;
	r->measured = true;
	r->prot = PROT_READ | PROT_WRITE;
	r->secinfo_flags = SGX_SECINFO_REG | SGX_SECINFO_R | SGX_SECINFO_W;
	return r;
}

static const char *segment_name(uint32_t flags)
{
	if (flags & PF_X)
		return "code";
	return flags & PF_W ? "data" : "constants";
}

static int add_segment(struct enclave *e, const struct file *file,
		       const Elf64_Phdr *segment, uint64_t *end)
{
	struct enclave_region *r;
	uint32_t flags = segment->p_flags;

	if (segment->p_vaddr != *end || segment->p_filesz > segment->p_memsz ||
	    segment->p_offset > file->size || segment->p_memsz > 1ull << 32 ||
	    segment->p_filesz > file->size - segment->p_offset)
		return bad_file(file, "segments must follow page upon page");
	if (!(flags & PF_R))
		return bad_file(file, "a segment is not readable");
	if (e->nr_regions == MAX_SEGMENTS)
		return bad_file(file, "too many segments");

	r = new_region(e, segment_name(flags), *end, page_up(segment->p_memsz));
	r->prot = PROT_READ | (flags & PF_W ? PROT_WRITE : 0) |
		  (flags & PF_X ? PROT_EXEC : 0);
	r->secinfo_flags = SGX_SECINFO_REG | SGX_SECINFO_R |
			   (flags & PF_W ? SGX_SECINFO_W : 0) |
			   (flags & PF_X ? SGX_SECINFO_X : 0);
	*end += r->size;
	return 0;
}

/* The segments' regions, and where they end. */
static int add_segments(struct enclave *e, const struct file *file,
			uint64_t *end)
{
	const Elf64_Ehdr *header = (const void *)file->bytes;
	const Elf64_Phdr *segment = (const void *)(file->bytes + header->e_phoff);
	int i;

	for (i = 0; i < header->e_phnum; i++)
		if (segment[i].p_type == PT_LOAD && segment[i].p_memsz &&
		    add_segment(e, file, segment + i, end))
			return -1;
	e->entry = header->e_entry;
	if (e->entry >= *end)
		return bad_file(file, "the entry point is in no segment");
	return 0;
}

static void copy_segments(struct enclave *e, const struct file *file)
{
	const Elf64_Ehdr *header = (const void *)file->bytes;
	const Elf64_Phdr *segment = (const void *)(file->bytes + header->e_phoff);
	int i;

	for (i = 0; i < header->e_phnum; i++)
		if (segment[i].p_type == PT_LOAD && segment[i].p_memsz)
			memcpy(e->source + segment[i].p_vaddr,
			       file->bytes + segment[i].p_offset,
			       segment[i].p_filesz);
}

/* The configuration, as the file has it and as the options change it. */
static int read_config(struct enclave *e, const struct file *file)
{
	const struct enclave_options *options = &e->options;
	const Elf64_Ehdr *header = (const void *)file->bytes;
	const Elf64_Phdr *segment = (const void *)(file->bytes + header->e_phoff);
	struct enclave_config *config = &e->config;
	int i;

	for (i = 0; i < header->e_phnum; i++)
		if (segment[i].p_type == PT_LOAD && segment[i].p_vaddr == 0 &&
		    segment[i].p_filesz >= sizeof(*config))
			memcpy(config, file->bytes + segment[i].p_offset,
			       sizeof(*config));
	if (config->magic != ENCLAVE_MAGIC)
		return bad_file(file, "not an enclave of this runtime");
	if (options->threads)
		config->threads = options->threads;
	if (options->stack_pages)
		config->stack_pages = options->stack_pages;
	if (options->heap_pages)
		config->heap_pages = options->heap_pages;
	if (config->threads < 1 || config->threads > ENCLAVE_MAX_THREADS ||
	    config->stack_pages < 1 || config->stack_pages > 4096 ||
	    config->ssa_frame_pages < 1 || config->ssa_frame_pages > 64 ||
	    config->heap_pages > 1 << 24)
		return bad_file(file, "threads, stack or heap out of bounds");
	return 0;
}

static struct thread_layout lay_out_thread(const struct enclave_config *config,
					   uint64_t start)
{
	struct thread_layout t;

	t.stack = start + PAGE;
	t.stack_top = t.stack + config->stack_pages * PAGE;
	t.exception = t.stack_top + PAGE;
	t.exception_top = t.exception + EXCEPTION_STACK_PAGES * PAGE;
	t.ssa = t.exception_top + PAGE;
	t.tcs = t.ssa + ENCLAVE_SSA_FRAMES * config->ssa_frame_pages * PAGE;
	t.size = t.tcs + PAGE - start;
	return t;
}

static void add_thread(struct enclave *e, unsigned int index)
{
	uint64_t start = e->config.threads_offset + index * e->config.thread_size;
	struct thread_layout t = lay_out_thread(&e->config, start);
	struct enclave_region *r;

	new_region(e, "stack", t.stack, t.stack_top - t.stack);
	new_region(e, "exception stack, thread data and SSA", t.exception,
		   t.tcs - t.exception);
	/* The processor owns a TCS: no permissions for anyone. */
	r = new_region(e, "TCS", t.tcs, PAGE);
	r->secinfo_flags = SGX_SECINFO_TCS;
}

static void write_thread(struct enclave *e, unsigned int index)
{
	uint64_t start = e->config.threads_offset + index * e->config.thread_size;
	struct thread_layout t = lay_out_thread(&e->config, start);
	struct enclave_thread *own = (void *)(e->source + t.exception_top);
	struct sgx_tcs *tcs = (void *)(e->source + t.tcs);

	own->self = t.exception_top;
	own->stack_top = t.stack_top;
	own->exception_top = t.exception_top;
	own->ssa = t.ssa;
	own->tcs = t.tcs;
	own->index = index;

	tcs->ossa = t.ssa;
	tcs->nssa = ENCLAVE_SSA_FRAMES;
	tcs->oentry = e->entry;
	tcs->ofsbase = t.exception_top;
	tcs->ogsbase = t.exception_top;
	tcs->fslimit = 0xffffffff;
	tcs->gslimit = 0xffffffff;
}

static void lay_out(struct enclave *e, uint64_t image_end)
{
	struct enclave_config *config = &e->config;
	struct enclave_region *heap;
	unsigned int i;

	config->threads_offset = image_end;
	config->thread_size = lay_out_thread(config, 0).size;
	for (i = 0; i < config->threads; i++)
		add_thread(e, i);
	config->heap_offset = image_end + config->threads * config->thread_size;
	e->source_size = config->heap_offset + config->heap_pages * PAGE;
	if (config->heap_pages) {
		heap = new_region(e, "heap", config->heap_offset,
				  config->heap_pages * PAGE);
		heap->measured = false;
	}
	for (e->size = PAGE; e->size < e->source_size;)
		e->size *= 2;
	config->size = e->size;
}

/* Anonymous memory: ADD_PAGES takes no source that may never be executable. */
static int write_pages(struct enclave *e, const struct file *file)
{
	unsigned int i;

	e->source = mmap(NULL, e->source_size, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (e->source == MAP_FAILED) {
		e->source = NULL;
		report_errno("no memory for %llu pages of an enclave",
			     (unsigned long long)(e->source_size / PAGE));
		return -1;
	}
	copy_segments(e, file);
	memcpy(e->source, &e->config, sizeof(e->config));
	for (i = 0; i < e->config.threads; i++)
		write_thread(e, i);
	return 0;
}

static void write_secs(struct enclave *e)
{
	const struct enclave_options *options = &e->options;
	struct sgx_secs *secs = &e->secs;

	secs->size = e->size;
	secs->ssa_frame_pages = e->config.ssa_frame_pages;
	if (options->exinfo)
		secs->miscselect = e->cpu.miscselect & SGX_MISC_EXINFO;
	secs->attributes = SGX_ATTR_MODE64BIT | options->attributes |
			   (options->debug ? SGX_ATTR_DEBUG : 0);
	secs->xfrm = SGX_XFRM_LEGACY | (options->xfrm & e->cpu.xfrm);
}

int enclave_load(struct enclave *e, const char *path,
		 const struct enclave_options *options)
{
	struct file file = { .path = path };
	uint64_t end = 0;
	int r = -1;

	e->options = *options;
	if (!read_file(&file) && !check_header(&file) &&
	    !add_segments(e, &file, &end) && !read_config(e, &file)) {
		lay_out(e, end);
		r = write_pages(e, &file);
		write_secs(e);
	}
	free(file.bytes);
	return r;
}

const struct enclave_region *enclave_region_at(const struct enclave *e,
					       uint64_t offset)
{
	unsigned int i;

	for (i = 0; i < e->nr_regions; i++)
		if (offset - e->regions[i].offset < e->regions[i].size)
			return &e->regions[i];
	return NULL;
}

const char *enclave_beside_program(const char *name)
{
	static char path[4096];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);
	char *slash;

	path[n > 0 ? n : 0] = '\0';
	slash = strrchr(path, '/');
	slash = slash ? slash + 1 : path;
	if (strlen(name) >= sizeof(path) - (slash - path))
		return name;
	strcpy(slash, name);
	return path;
}
