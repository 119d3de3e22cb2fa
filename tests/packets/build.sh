#!/bin/sh
# Compiles the object beside this script again.
set -eu
cd "$(dirname "$0")"
clang -target bpf -O2 -g -Wall -Werror -I/usr/include/x86_64-linux-gnu -fdebug-prefix-map="$PWD"=. -c packets.c -o packets.o
