#!/bin/sh
# Compiles the objects beside this script again.
set -eu
cd "$(dirname "$0")"
for version in 1 2; do
    clang -target bpf -O2 -g -Wall -Werror -DVERSION=$version -fdebug-prefix-map="$PWD"=. -c route.c -o route_$version.o
done
