#!/bin/sh
# Compiles the objects beside this script again.
set -eu
cd "$(dirname "$0")"
for name in sockets congestion; do
    for version in 1 2; do
        clang -target bpf -O2 -g -Wall -Werror -D__TARGET_ARCH_x86 -DVERSION=$version -fdebug-prefix-map="$PWD"=. \
            -c $name.c -o ${name}_$version.o
    done
done
