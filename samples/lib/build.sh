# SPDX-License-Identifier: Apache-2.0
# Shell functions that build enclaves and their hosts with a C compiler alone.
# Sourced by scripts that have set
#	lib	this directory
#	out	the directory where everything goes
# Both may contain spaces; names of objects, relative to out, may not.

CC=${CC:-gcc}

# Both sides: the language, and every warning an error.
common_flags="-std=gnu11 -O2 -g -Wall -Wextra -Werror"

# Inside: no libc, no start files, no absolute addresses, and no use of what
# entry does not set up (a stack protector's canary, AVX).
enclave_flags="-ffreestanding -fPIE -fvisibility=hidden -fno-stack-protector
	-fno-asynchronous-unwind-tables -fno-tree-loop-distribute-patterns
	-fcf-protection=none -mno-avx"
enclave_link="-nostdlib -static-pie -Wl,-z,noexecstack -Wl,-z,norelro
	-Wl,--build-id=none"
host_flags="-pthread"

enclave_library="enclave_entry.S enclave_rt.c aes_cmac.c"
host_library="report_error.c cpu.c vdso.c enter.S sha256.c rsa3072.c
	sample_key.c measure.c sigstruct.c image.c loader.c sample.c"

fail() {
	echo "build: $*" >&2
	exit 1
}

check_compiler() {
	command -v "$CC" >/dev/null 2>&1 ||
		fail "there is no C compiler '$CC': install gcc, or set CC"
}

# compile OBJECT SOURCE FLAGS...: unless the object is newer than its source
# and than every header that it may include.
compile() {
	object=$1
	source=$2
	shift 2
	if [ -e "$object" ] && [ -z "$(find "$source" "$lib" "${source%/*}" \
			\( -name '*.h' -o -path "$source" \) \
			-newer "$object")" ]; then
		return
	fi
	"$CC" $common_flags "$@" -c -o "$object" "$source" ||
		fail "$source does not compile"
}

# Compilations run side by side; their failures show when they are waited for.
jobs=

compile_enclave() {
	compile "$1" "$2" $enclave_flags &
	jobs="$jobs $!"
}

compile_host() {
	compile "$1" "$2" $host_flags &
	jobs="$jobs $!"
}

wait_for_compiler() {
	for job in $jobs; do
		wait "$job" || exit 1
	done
	jobs=
}

enclave_objects=
host_objects=

compile_library() {
	mkdir -p "$out/objects" && cd "$out" || fail "cannot write to $out"
	for source in $enclave_library; do
		object=objects/enclave-${source%.*}.o
		compile_enclave "$object" "$lib/$source"
		enclave_objects="$enclave_objects $object"
	done
	for source in $host_library; do
		object=objects/host-${source%.*}.o
		compile_host "$object" "$lib/$source"
		host_objects="$host_objects $object"
	done
}

# up_to_date TARGET FILE...: the target is newer than all of them.
up_to_date() {
	target=$1
	shift
	[ -e "$target" ] && [ -z "$(find "$@" -newer "$target")" ]
}

# link_host TARGET OBJECT..., with the library's objects.
link_host() {
	target=$1
	shift
	up_to_date "$target" "$@" $host_objects ||
		"$CC" $host_flags -o "$target" "$@" $host_objects ||
		fail "$target does not link"
}

link_enclave() {
	target=$1
	shift
	up_to_date "$target" "$lib/enclave.lds" "$@" $enclave_objects ||
		"$CC" $enclave_link -T "$lib/enclave.lds" -o "$target" "$@" \
			$enclave_objects ||
		fail "$target does not link"
}
