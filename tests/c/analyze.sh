#!/usr/bin/env bash
# Static analysis of every C source, with the flags that ship: gcc -fanalyzer and, where installed, clang --analyze.
# Fails on any finding. Three minutes of processor time.
#
# Inlining is left to the compiler: forced, it makes one function of a kernel, which is too long to analyze. And GCC's
# warnings of uninitialized values are off, where all of them are false: it does not know of an array that a loop of
# constant length fills element by element (g[4] in whole_gradient_quad, unit_pair everywhere) that all of its elements
# are filled, nor of slabs that tasks fill (in rmsnorm.c). Clang, which follows such loops, looks for the same.
set -euo pipefail
cd "$(dirname "$0")/../.."
source tests/c/setup.sh

declare -A flags=([avx2]="$(setup AVX2)" [avx512]="$(setup AVX512)")
exact="$(setup EXACT) $(setup HIDDEN) -DFN_PLAIN_INLINE= -Icsrc"
# every source with flags of its own, a line each
sources() {
    local unit isa isas
    printf '%s\n' csrc/*.c
    if [[ $(uname -m) == x86_64 ]]; then isas="baseline avx2 avx512"; else isas="baseline neon"; fi
    for isa in $isas; do
        for unit in csrc/kernels/*.c; do echo "${flags[$isa]:-} -include csrc/isa/$isa.h $unit"; done
    done
}

# analyze COMPILER...: all sources; a warning is an error
analyze() {
    sources | xargs -P 2 -d '\n' -I @ sh -c "$* $exact @ || { echo '$1: @' >&2; exit 1; }"
    printf '%-8s %s sources, nothing found\n' "$1" "$(sources | wc -l)"
}

analyze gcc -fanalyzer -Wno-analyzer-use-of-uninitialized-value -Werror -O1 -c -o /dev/null
clang=${CLANG:-$(command -v clang || command -v clang-19 || true)}
if [[ $clang ]]; then
    analyze "$clang" --analyze -Xclang -analyzer-werror -o /dev/null
else
    echo "clang    skipped: not installed"
fi
