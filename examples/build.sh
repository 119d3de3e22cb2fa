#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
# Compiles every C file of examples/, tests/entries/, tests/faults/, tests/migrate/, tests/objects/ and
# tests/variables/, the same bytes wherever the repository lies.
# usage: examples/build.sh [OUT]    OUT is where the tree of .o files goes; without it, beside the sources
# Needs clang, llvm-strip and bpftool (CLANG, LLVM_STRIP and BPFTOOL name others) and the headers of libbpf.
set -eu

out=${1:-.}
mkdir -p "$out"
out=$(cd "$out" && pwd)
repository=$(cd "$(dirname "$0")/.." && pwd)
[ $# -gt 0 ] || out=$repository
cd "$repository"

# build SOURCE OBJECT FLAG...
build() {
	source=$1 object=$out/$2
	shift 2
	mkdir -p "$(dirname "$object")"
	# Names of files in the object are relative to the repository. v3 has 32-bit jumps: Linux 5.1.
	"${CLANG:-clang}" -O2 -mcpu=v3 -Wall -fdebug-compilation-dir=. \
		"-I/usr/include/$(uname -m)-linux-gnu" --target=bpfel "$@" -c "$source" -o "$object"
	"${LLVM_STRIP:-llvm-strip}" -g "$object" # DWARF goes, BTF stays
}

for source in examples/*/*.c tests/objects/*.c; do
	case $source in
	*/map_def.c | */elf_map.c | */no_btf.c | */upgrade.c | */common.c) ;; # below
	*) build "$source" "${source%.c}.o" -g ;;
	esac
done

tests=tests/objects
build tests/faults/account.c tests/faults/account.o -g
build tests/entries/maps.c tests/entries/maps.o -g
for version in 1 2; do
	build tests/faults/filter.c tests/faults/filter_$version.o -g -DVERSION=$version
	build tests/migrate/flows.c tests/migrate/flows_$version.o -g -DVERSION=$version
done
# traffic NAME TYPE FLAG...
traffic() {
	name=$1 type=$2
	shift 2
	build tests/migrate/traffic.c "tests/migrate/traffic_$name.o" -g "-DTYPE=BPF_MAP_TYPE_$type" "$@"
}
traffic hash HASH
traffic lru LRU_HASH
traffic cpus PERCPU_HASH
traffic wide_key HASH -DWIDE_KEY
traffic wide_value HASH -DWIDE_VALUE
traffic wide_cpus PERCPU_HASH -DWIDE_VALUE
for words in 4 5 7; do
	build $tests/map_def.c $tests/map_def_$((4 * words)).o -g -DWORDS=$words
	build $tests/map_def.c $tests/map_def_$((4 * words))_no_btf.o -DWORDS=$words
done
for words in 6 7 9; do
	build $tests/elf_map.c $tests/elf_map_$((4 * words)).o -g -DWORDS=$words
	build $tests/elf_map.c $tests/elf_map_$((4 * words))_no_btf.o -DWORDS=$words
done
for version in 1 2 3; do
	build $tests/upgrade.c $tests/upgrade_$version.o -g -DVERSION=$version
done
build $tests/no_btf.c $tests/no_btf.o
build $tests/common.c $tests/common.o -g -fcommon
build $tests/pass.c $tests/pass_no_btf.o # `.maps` that nothing describes
build $tests/undefined.c $tests/undefined_no_btf.o
build $tests/gobpf_maps.c $tests/gobpf_maps_no_btf.o
build $tests/pass.c $tests/pass_big_endian.o -g --target=bpfeb

variables=tests/variables
build $variables/filter.c $variables/filter.o -g
build $variables/filter.c $variables/later.o -g -DLATER
for name in one two; do
	build $variables/same.c $variables/$name.o -g -DNAME=$name
done
"${BPFTOOL:-bpftool}" gen object "$out/$variables/same.o" "$out/$variables/one.o" "$out/$variables/two.o"
rm "$out/$variables/one.o" "$out/$variables/two.o"
