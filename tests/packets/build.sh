#!/bin/sh
# Compiles the objects beside this script again.
set -eu
cd "$(dirname "$0")"
for source in packets grows; do
    clang -target bpf -O2 -g -Wall -Werror -I/usr/include/x86_64-linux-gnu -fdebug-prefix-map="$PWD"=. -c $source.c -o $source.o
done
