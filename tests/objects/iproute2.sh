#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
# Compiles the examples of Debian's iproute2-doc (GPL, so not part of this repository) into OUT.
# usage: iproute2.sh DIR OUT    DIR is "" for where the package installs them
# The objects: OUT/NAME.o, and OUT/legacy/NAME.o for those with `struct bpf_elf_map`.
# Exit 77 when the sources are not there.
set -eu

sources=${1:-/usr/share/doc/iproute2/examples/bpf}
here=$(cd "$(dirname "$0")" && pwd)

if [ ! -d "$sources/legacy" ]; then
	echo "no iproute2 examples in $sources (package iproute2-doc)" >&2
	exit 77
fi

mkdir -p "$2/legacy"
out=$(cd "$2" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# They include "../../include/bpf_api.h" from examples/bpf, and one level more from legacy.
mkdir -p "$work/examples/bpf/legacy" "$work/include"
cp "$here/compat/include/bpf_api.h" "$here/../../examples/iproute2-legacy/bpf_elf.h" "$work/include"
for source in "$sources"/*.c* "$sources"/legacy/*.c*; do
	copy="$work/examples/bpf/${source#"$sources"/}"
	case $source in
	*.c) cp "$source" "$copy" ;;
	*.c.gz) gzip -dc "$source" >"${copy%.gz}" ;; # Debian compresses long documentation files
	esac
done

cd "$work/examples/bpf"
for source in *.c legacy/*.c; do
	"${CLANG:-clang}" -O2 -g -target bpf "-I/usr/include/$(uname -m)-linux-gnu" \
		-Wall -Wno-unused-variable -c "$source" -o "$out/${source%.c}.o"
done
