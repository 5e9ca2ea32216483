#!/usr/bin/env bash
# Static analysis of every C source, with the flags that ship: gcc -fanalyzer and, where installed, clang --analyze.
# Fails on any finding. Inlining is left to the compiler: forced, it makes one function of a kernel, too long to analyze.
set -euo pipefail
cd "$(dirname "$0")/../.."
source tests/c/setup.sh

declare -A flags=([avx2]="$(setup AVX2)" [avx512]="$(setup AVX512)")
exact="$(setup EXACT) $(setup HIDDEN) -DFN_PLAIN_INLINE= -Icsrc"
sources() {
    for unit in $(setup SOURCES); do echo "csrc/$unit.c"; done
    if [[ $(uname -m) == x86_64 ]]; then isas="baseline avx2 avx512"; else isas="baseline neon"; fi
    for isa in $isas; do echo "${flags[$isa]:-} csrc/isa/$isa.c"; done
}

# analyze COMPILER OPTION...: of one source a line; a warning is an error, and the last line of its report says where
analyze() {
    sources | xargs -P 2 -d '\n' -I @ sh -c "$* $exact @ || { echo '$1: @' >&2; exit 1; }"
    printf '%-8s %s sources, nothing found\n' "$1" "$(sources | wc -l)"
}

analyze gcc -fanalyzer -Werror -O1 -c -o /dev/null
clang=${CLANG:-$(command -v clang || command -v clang-19 || true)}
if [[ $clang ]]; then
    analyze "$clang" --analyze -Xclang -analyzer-werror
else
    echo "clang    skipped: not installed"
fi
