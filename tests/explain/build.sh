#!/bin/sh
# Compiles the objects beside this script again.
set -eu
cd "$(dirname "$0")"
build() {
    out=$1
    shift
    clang -target bpf -O2 -g -Wall -Werror "$@" -fdebug-prefix-map="$PWD"=. -c filter.c -o "$out"
}
build filter_1.o
build filter_2.o -DNEXT
build filter_3.o -DWIDE
