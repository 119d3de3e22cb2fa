#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
# Compiles the objects beside this script again, as examples/build.sh compiles others.
set -eu
cd "$(dirname "$0")"
for source in *.c; do
	object=${source%.c}.o
	clang -O2 -g -mcpu=v3 -Wall -Werror -fdebug-compilation-dir=. "-I/usr/include/$(uname -m)-linux-gnu" \
		--target=bpfel -c "$source" -o "$object"
	llvm-strip -g "$object" # DWARF goes, BTF stays
done
