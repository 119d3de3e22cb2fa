#!/bin/sh
# Compiles the objects beside this script again.
set -eu
cd "$(dirname "$0")"
compile() {
    clang -target bpf -O2 -g -Wall -Werror -fdebug-prefix-map="$PWD"=. -c "$@"
}
compile filter.c -o filter.o
compile -DLATER filter.c -o later.o
compile -DNAME=one same.c -o one.o
compile -DNAME=two same.c -o two.o
bpftool gen object same.o one.o two.o
rm one.o two.o
