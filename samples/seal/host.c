// SPDX-License-Identifier: Apache-2.0
/*
 * A secret that outlives the enclave: sealed to a file in one run, opened in the
 * next. Whoever is not meant to open it is told why not.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/report_error.h"
#include "../lib/sample.h"
#include "ecalls.h"

struct arguments {
	const char *sigstruct;
	unsigned long svn;
	bool debug;
	const char *command;
	const char *file;
	const char *text;
};

static void usage(FILE *to, int status)
{
	fprintf(to,
		"usage: %s [--debug] [--svn N] [--sigstruct FILE] [COMMAND]\n"
		"  seal FILE TEXT        seal a text into a file\n"
		"  open FILE             open it again\n"
		"  write-sigstruct FILE  the enclave's SIGSTRUCT, to be signed by another key\n"
		"  (no command)          seal, open, and try to open what was damaged\n"
		"--svn is the security version to sign as; --sigstruct takes a SIGSTRUCT\n"
		"instead of signing with the public test key.\n",
		program_invocation_short_name);
	exit(status);
}

static void parse(int argc, char **argv, struct arguments *a)
{
	char *end;
	int i, words = 0;
	const char **into[] = { &a->command, &a->file, &a->text };

	memset(a, 0, sizeof(*a));
	for (i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--help")) {
			usage(stdout, 0);
		} else if (!strcmp(argv[i], "--debug")) {
			a->debug = true;
		} else if (!strcmp(argv[i], "--svn") && i + 1 < argc) {
			a->svn = strtoul(argv[++i], &end, 10);
			if (*end || a->svn > 0xffff)
				usage(stderr, 1);
		} else if (!strcmp(argv[i], "--sigstruct") && i + 1 < argc) {
			a->sigstruct = argv[++i];
		} else if (words < 3 && (argv[i][0] != '-' || words == 2)) {
			*into[words++] = argv[i];
		} else {
			usage(stderr, 1);
		}
	}
	if (words && words != (!strcmp(a->command, "seal") ? 3 : 2))
		usage(stderr, 1);
}

static const char *meaning(uint64_t result)
{
	switch (result) {
	case SEAL_OK:
		return "done";
	case SEAL_BAD_POINTER:
		return "a pointer leads into the enclave";
	case SEAL_TOO_LONG:
		return "too long";
	case SEAL_NOT_SEALED:
		return "this is nothing that was sealed";
	case SEAL_LATER_VERSION:
		return "a later version of the enclave sealed it (ISVSVN)";
	case SEAL_LATER_PLATFORM:
		return "a later version of the platform sealed it (CPUSVN)";
	case SEAL_NOT_OURS:
		return "sealed on another platform, or under another signer, or damaged";
	case SEAL_NO_RANDOM:
		return "the processor has no random numbers to give";
	default:
		return "?";
	}
}

/* The enclave looked at what it got, and said no. */
static bool is_refusal(int result)
{
	return result == SEAL_NOT_SEALED || result == SEAL_NOT_OURS ||
	       result == SEAL_LATER_VERSION || result == SEAL_LATER_PLATFORM;
}

static int call(struct enclave *e, enum seal_ecall number, const void *in,
		size_t in_length, void *out, size_t *out_length)
{
	struct seal_call call = {
		.in = in, .in_length = in_length,
		.out = out, .out_size = *out_length,
	};
	uint64_t result;

	if (enclave_ecall(e, 0, number, &call, &result))
		return SEAL_UNKNOWN;
	if (result == SEAL_OK)
		*out_length = call.out_length;
	return result;
}

static bool write_file(const char *path, const void *bytes, size_t length)
{
	FILE *file = fopen(path, "wb");
	bool written = file && fwrite(bytes, 1, length, file) == length;

	if (file && fclose(file))
		written = false;
	if (!written)
		report_errno("cannot write %s", path);
	return written;
}

static bool read_file(const char *path, void *bytes, size_t *length)
{
	FILE *file = fopen(path, "rb");
	size_t size = *length;

	if (!file) {
		report_errno("cannot read %s", path);
		return false;
	}
	*length = fread(bytes, 1, size, file);
	fclose(file);
	return true;
}

static void seal_file(struct enclave *e, const char *path, const char *text)
{
	uint8_t sealed[SEAL_MAX_TEXT + SEALED_OVERHEAD];
	size_t length = sizeof(sealed);
	int result = call(e, SEAL_SEAL, text, strlen(text), sealed, &length);

	if (check(result == SEAL_OK, "the enclave seals %zu bytes: %s",
		  strlen(text), meaning(result)))
		check(write_file(path, sealed, length), "they are in %s", path);
}

static void open_file(struct enclave *e, const char *path)
{
	uint8_t sealed[SEAL_MAX_TEXT + SEALED_OVERHEAD + 1];
	char text[SEAL_MAX_TEXT];
	size_t length = sizeof(sealed), text_length = sizeof(text);
	int result;

	if (!check(read_file(path, sealed, &length), "%s is read", path))
		return;
	result = call(e, SEAL_OPEN, sealed, length, text, &text_length);
	if (check(result == SEAL_OK, "the enclave opens it: %s",
		  meaning(result)))
		say("    %.*s", (int)text_length, text);
}

/* Nothing of what was sealed can be changed without the enclave's noticing. */
static void tour(struct enclave *e)
{
	static const char secret[] = "the secret of this tour";
	uint8_t sealed[2][SEAL_MAX_TEXT + SEALED_OVERHEAD];
	char text[SEAL_MAX_TEXT];
	size_t length[2], text_length = sizeof(text), i;
	unsigned int refused = 0;
	int result;

	for (i = 0; i < 2; i++) {
		length[i] = sizeof(sealed[i]);
		result = call(e, SEAL_SEAL, secret, sizeof(secret), sealed[i],
			      &length[i]);
		if (!check(result == SEAL_OK, "the enclave seals: %s",
			   meaning(result)))
			return;
	}
	check(!memmem(sealed[0], length[0], secret, 10),
	      "the text is not to be found in what came out");
	check(memcmp(sealed[0] + sizeof(struct sealed_header),
		     sealed[1] + sizeof(struct sealed_header), sizeof(secret)),
	      "sealing it again makes something else of it");
	result = call(e, SEAL_OPEN, sealed[0], length[0], text, &text_length);
	check(result == SEAL_OK && text_length == sizeof(secret) &&
	      !memcmp(text, secret, sizeof(secret)),
	      "the enclave opens it again");
	for (i = 0; i < length[0]; i++) {
		sealed[0][i] ^= 1;
		text_length = sizeof(text);
		result = call(e, SEAL_OPEN, sealed[0], length[0], text,
			      &text_length);
		if (is_refusal(result))
			refused++;
		sealed[0][i] ^= 1;
	}
	check(refused == length[0], "with any byte changed it does not");
}

int main(int argc, char **argv)
{
	struct enclave_options options = { 0 };
	struct arguments arguments;
	struct enclave e;

	parse(argc, argv, &arguments);
	options.debug = arguments.debug;
	options.isv_svn = arguments.svn;
	options.sigstruct = arguments.sigstruct;
	if (enclave_build(&e, enclave_beside_program("seal.enclave"), &options))
		return 1;
	say("The enclave, version %u:", e.sigstruct.isv_svn);
	say_bytes("MRENCLAVE", e.mrenclave, SGX_HASH_SIZE);
	say_bytes("MRSIGNER", e.mrsigner, SGX_HASH_SIZE);

	if (!arguments.command)
		tour(&e);
	else if (!strcmp(arguments.command, "seal"))
		seal_file(&e, arguments.file, arguments.text);
	else if (!strcmp(arguments.command, "open"))
		open_file(&e, arguments.file);
	else if (!strcmp(arguments.command, "write-sigstruct"))
		check(write_file(arguments.file, &e.sigstruct,
				 sizeof(e.sigstruct)),
		      "its SIGSTRUCT is in %s", arguments.file);
	else
		usage(stderr, 1);
	enclave_destroy(&e);
	return sample_end();
}
