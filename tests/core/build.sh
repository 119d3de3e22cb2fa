#!/bin/sh
# Compiles the objects beside this script again.
set -eu
cd "$(dirname "$0")"
for source in *.c; do
    clang -target bpf -O2 -g -Wall -Werror -fdebug-prefix-map="$PWD"=. -c "$source" -o "${source%.c}.o"
done
