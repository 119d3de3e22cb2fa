#!/bin/sh
# Compiles the objects beside this script again.
set -eu
cd "$(dirname "$0")"
for step in 1 10; do
    clang -target bpf -O2 -g -Wall -Werror -DSTEP=$step -fdebug-prefix-map="$PWD"=. -c redirect.c -o redirect_$step.o
done
clang -target bpf -O2 -g -Wall -Werror -fdebug-prefix-map="$PWD"=. -c groups.c -o groups.o
