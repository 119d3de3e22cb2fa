#!/bin/sh
# Compiles the objects beside this script again.
set -eu
cd "$(dirname "$0")"
for variant in every other; do
    define=$([ $variant = other ] && echo -DOTHER || true)
    clang -target bpf -O2 -g -Wall -Werror $define -fdebug-prefix-map="$PWD"=. -c every.c -o $variant.o
done
