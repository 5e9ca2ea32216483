#!/usr/bin/env bash
# Runs tests/c/kernels with every kernel table on every machine that can be had here, emulated where it is not real:
#
#   AVX-512    by SIMDe (Debian: libsimde-dev), unless the processor has it
#   AArch64    gcc-aarch64-linux-gnu and qemu-user-static
#   old x86-64 qemu-user-static: dispatch must not choose what the processor lacks
#
# and with GCC, Clang and the sanitizers. All runs have to give one hash: the same bits on every machine. Looks at the
# machine code, too. What is not installed is skipped, with a note. Four minutes of processor time.
set -euo pipefail
cd "$(dirname "$0")/../.."

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failures=0

note() { printf '%-12s %s\n' "$1" "$2"; }
fail() { note "$1" "FAILED: $2"; failures=$((failures + 1)); }
have() { command -v "$1" >"$work/null"; }

source tests/c/setup.sh
exact="$(setup EXACT) $(setup HIDDEN)"
drivers=$(basename -s .c csrc/*.c)
families=$(basename -s .c csrc/kernels/*.c)
warnings="-Wall -Wextra -Wconversion -Werror"

declare -A flags=([baseline]="" [neon]="" [avx2]="$(setup AVX2)" [avx512]="$(setup AVX512)")
flags[emulated]="-isystem $work/shim -w -Wno-psabi"

# Lets tests/c/kernels say from which size on results are written past the cache.
cat >"$work/stream.h" <<'STREAM'
#include "work.h"
#define FN_STREAM_BYTES check_stream_bytes
extern ptrdiff_t check_stream_bytes;
STREAM

# build NAME COMPILER TABLE...: $work/NAME/check, with the flags in $extra too; two compilers at a time
extra=
build() {
    local name=$1 compiler=$2 folder=$work/$1 table unit before
    shift 2
    mkdir -p "$folder"
    {
        for table in "$@"; do
            before="${flags[$table]} -include csrc/isa/${table/emulated/avx512}.h"
            for unit in $families; do echo "$before csrc/kernels/$unit.c -o $folder/isa_${table}_$unit.o"; done
        done
        for unit in $drivers; do
            before=$(grep -qw FN_STREAM_BYTES "csrc/$unit.c" && echo "-include $work/stream.h" || true)
            echo "$before csrc/$unit.c -o $folder/$unit.o"
        done
        for unit in tests/c/kernels/*.c; do echo "$unit -o $folder/check_$(basename "$unit" .c).o"; done
    } | xargs -P 2 -d '\n' -I @ sh -c "$compiler $exact $warnings $extra -Icsrc -c @" &&
        $compiler $extra "$folder"/*.o -lpthread -lm -o "$folder/check" || { fail "$name" "does not build"; exit 1; }
}

# alone PROGRAM COMPILER TABLE [EMULATOR]: check_PROGRAM.c, which checks words of the vocabulary
alone() {
    $2 $exact $extra ${flags[$3]} -include "csrc/isa/${3/emulated/avx512}.h" -Icsrc "tests/c/check_$1.c" -lm \
        -o "$work/alone" && ${4-} "$work/alone" || fail "$3" "$1"
}

# run NAME TABLES COMMAND...: the tables that have to be in use, and how to run
declare -A hashes
run() {
    local name=$1 tables=$2 output hash cases
    shift 2
    if ! output=$("$@" 2>"$work/errors"); then
        fail "$name" "$*"
        printf '%s\n' "$output"
        grep -v "TCG doesn't support" "$work/errors" || true
        return
    fi
    note "$name" "$output"
    cases=${output%% cases of *}
    hash=$(sed 's/.*; baseline \([0-9a-f]*\) .*/\1/' <<<"$output")
    [[ $output == *" cases of $tables:"* ]] || fail "$name" "tables in use are not: $tables"
    [[ ${hashes[$cases]:=$hash} == "$hash" ]] || fail "$name" "the baseline has other bits here"
}

# What SIMDe 0.7 lacks of the words that vec_avx512.h uses, lane by lane, from Intel's description.
write_shim() {
    mkdir -p "$work/shim"
    cat >"$work/shim/immintrin.h" <<'SHIM'
#pragma GCC system_header
#define SIMDE_NO_NATIVE
#define SIMDE_ENABLE_NATIVE_ALIASES
#include <simde/x86/avx512.h>
#include <simde/x86/f16c.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#undef __mmask8
#undef __mmask16
#define __mmask8 uint8_t
#define __mmask16 uint16_t

/* A lane that is masked out is not touched in memory; a streaming store to an unaligned address faults. */
#define SHIM_MEMORY(suffix, vector, real, mask, lanes)                                                                 \
    static inline vector shim_mask_loadu_##suffix(vector fill, mask k, const void *p)                                  \
    {                                                                                                                  \
        for (int i = 0; i < (lanes); i++)                                                                              \
            if (k >> i & 1) memcpy((real *)&fill + i, (const real *)p + i, sizeof(real));                              \
        return fill;                                                                                                   \
    }                                                                                                                  \
    static inline void shim_mask_storeu_##suffix(void *p, mask k, vector a)                                            \
    {                                                                                                                  \
        for (int i = 0; i < (lanes); i++)                                                                              \
            if (k >> i & 1) memcpy((real *)p + i, (const real *)&a + i, sizeof(real));                                 \
    }                                                                                                                  \
    static inline void shim_stream_##suffix(void *p, vector a)                                                         \
    {                                                                                                                  \
        if ((uintptr_t)p % 64) __builtin_trap();                                                                       \
        memcpy(p, &a, 64);                                                                                             \
    }
SHIM_MEMORY(ps, __m512, float, __mmask16, 16)
SHIM_MEMORY(pd, __m512d, double, __mmask8, 8)

static inline __m256 shim_extractf32x8_ps(__m512 a, int part)
{
    __m256 half;
    memcpy(&half, (const char *)&a + 32 * (part & 1), 32);
    return half;
}

static inline __m512d shim_cvtps_pd(__m256 a)
{
    float narrow[8];
    double lanes[8];
    __m512d wide;
    memcpy(narrow, &a, 32);
    for (int i = 0; i < 8; i++) lanes[i] = (double)narrow[i];
    memcpy(&wide, lanes, 64);
    return wide;
}

static inline __m256 shim_cvtpd_ps(__m512d a)
{
    double wide[8];
    float lanes[8];
    __m256 narrow;
    memcpy(wide, &a, 64);
    for (int i = 0; i < 8; i++) lanes[i] = (float)wide[i];
    memcpy(&narrow, lanes, 32);
    return narrow;
}

/* SIMDe rounds the product before it takes the third number away. */
static inline __m512d shim_fmsub_pd(__m512d a, __m512d b, __m512d c)
{
    double x[8], y[8], z[8];
    memcpy(x, &a, 64);
    memcpy(y, &b, 64);
    memcpy(z, &c, 64);
    for (int i = 0; i < 8; i++) x[i] = fma(x[i], y[i], -z[i]);
    memcpy(&a, x, 64);
    return a;
}

static inline __m512 shim_fmsub_ps(__m512 a, __m512 b, __m512 c)
{
    float x[16], y[16], z[16];
    memcpy(x, &a, 64);
    memcpy(y, &b, 64);
    memcpy(z, &c, 64);
    for (int i = 0; i < 16; i++) x[i] = fmaf(x[i], y[i], -z[i]);
    memcpy(&a, x, 64);
    return a;
}

/* Halves: two registers of AVX2's conversions; 32 to 16 bits. */
static inline __m512 shim_cvtph_ps(__m256i a)
{
    __m128i parts[2];
    __m256 wide[2];
    __m512 result;
    memcpy(parts, &a, 32);
    for (int i = 0; i < 2; i++) wide[i] = _mm256_cvtph_ps(parts[i]);
    memcpy(&result, wide, 64);
    return result;
}

static inline __m256i shim_cvtps_ph(__m512 a, int rounding)
{
    __m256 wide[2];
    __m128i parts[2];
    __m256i result;
    (void)rounding;
    memcpy(wide, &a, 64);
    for (int i = 0; i < 2; i++) parts[i] = _mm256_cvtps_ph(wide[i], 0);
    memcpy(&result, parts, 32);
    return result;
}

static inline __m512i shim_cvtepu16_epi32(__m256i a)
{
    uint16_t narrow[16];
    uint32_t lanes[16];
    __m512i wide;
    memcpy(narrow, &a, 32);
    for (int i = 0; i < 16; i++) lanes[i] = narrow[i];
    memcpy(&wide, lanes, 64);
    return wide;
}

static inline __m256i shim_cvtepi32_epi16(__m512i a)
{
    uint32_t wide[16];
    uint16_t lanes[16];
    __m256i narrow;
    memcpy(wide, &a, 64);
    for (int i = 0; i < 16; i++) lanes[i] = (uint16_t)wide[i];
    memcpy(&narrow, lanes, 32);
    return narrow;
}

#undef _mm512_cvtph_ps
#undef _mm512_cvtps_ph
#undef _mm512_cvtepu16_epi32
#undef _mm512_cvtepi32_epi16
#define _mm512_cvtph_ps shim_cvtph_ps
#define _mm512_cvtps_ph shim_cvtps_ph
#define _mm512_cvtepu16_epi32 shim_cvtepu16_epi32
#define _mm512_cvtepi32_epi16 shim_cvtepi32_epi16
#undef _mm512_mask_loadu_ps
#undef _mm512_mask_loadu_pd
#undef _mm512_mask_storeu_ps
#undef _mm512_mask_storeu_pd
#undef _mm512_stream_ps
#undef _mm512_stream_pd
#undef _mm512_extractf32x8_ps
#undef _mm512_cvtps_pd
#undef _mm512_cvtpd_ps
#undef _mm512_fmsub_pd
#undef _mm512_shuffle_f32x4
#undef _mm512_shuffle_f64x2
#define _mm512_mask_loadu_ps shim_mask_loadu_ps
#define _mm512_mask_loadu_pd shim_mask_loadu_pd
#define _mm512_mask_storeu_ps shim_mask_storeu_ps
#define _mm512_mask_storeu_pd shim_mask_storeu_pd
#define _mm512_stream_ps shim_stream_ps
#define _mm512_stream_pd shim_stream_pd
#define _mm512_extractf32x8_ps shim_extractf32x8_ps
#define _mm512_cvtps_pd shim_cvtps_pd
#define _mm512_cvtpd_ps shim_cvtpd_ps
#define _mm512_fmsub_ps shim_fmsub_ps
#define _mm512_fmsub_pd shim_fmsub_pd
#define _mm512_shuffle_f32x4 simde_mm512_shuffle_f32x4
#define _mm512_shuffle_f64x2 simde_mm512_shuffle_f64x2
SHIM
}

# contains OBJDUMP FILE PATTERN: whether the machine code does
contains() {
    "$1" -d "$2" >"$work/code" || fail code "$1 cannot read $2"
    grep -qE "$3" "$work/code"
}

# No AVX outside the tables for it, nothing there that another object could pick up, no fused multiply-add but that of
# product_error: a multiply-subtract of vectors, of a negated factor, too.
look_at_code() {
    local object
    for object in "$1"/*.o; do
        case $object in
        */isa_avx*)
            [[ $(nm -g --defined-only "$object" | wc -l) == 1 ]] || fail code "$object exports more than its table"
            ! contains objdump "$object" '\svfn?madd|\svfn?msub...s[sd]' ||
                fail code "$object has a fused multiply-add"
            ;;
        *)
            ! contains objdump "$object" '%[yz]mm|%k[0-7]|\sv[a-z0-9]+ .*%xmm|\svzero' ||
                fail code "$object has AVX code"
            ;;
        esac
    done
    note code "no AVX outside its tables, no fused multiply-add but for product errors"
}

# The tables that this processor runs, and those that it runs with an emulated AVX-512.
native=baseline
emulated=
choose_tables() {
    if grep -qw avx2 /proc/cpuinfo; then native+=" avx2"; fi
    if grep -qw avx512dq /proc/cpuinfo; then
        native+=" avx512"
    elif [[ -e /usr/include/simde/x86/avx512.h ]]; then
        write_shim
        emulated=emulated
    else
        note avx512 "compiled, not run: neither the processor nor SIMDe is there"
    fi
}

on_x86() {
    choose_tables
    build gcc gcc baseline avx2 avx512
    look_at_code "$work/gcc"
    run gcc "$native" "$work/gcc/check"
    for table in $native $emulated; do
        alone transpose gcc "$table"
        alone dropout gcc "$table"
    done
    run "1 in 9" "$native" "$work/gcc/check" $sample
    if [[ $emulated ]]; then
        mkdir "$work/simde"
        cp "$work"/gcc/isa_{baseline,avx2}_*.o "$work/simde"
        build simde gcc emulated
        run simde "$native avx512" "$work/simde/check" avx512
    fi
    # forced inlining makes sanitized code take minutes to compile
    extra="-O1 -DFN_PLAIN_INLINE= -fsanitize=address,undefined -fno-sanitize-recover=all"
    build sanitized gcc baseline avx2 ${emulated:-avx512}
    run sanitized "$native${emulated:+ avx512}" "$work/sanitized/check" every=3 ${emulated:+avx512}
    extra=
    if [[ $clang ]]; then
        build clang "$clang" baseline avx2 avx512
        look_at_code "$work/clang"
        run clang "$native" "$work/clang/check"
    else
        note clang "skipped: not installed"
    fi
}

# The program of GCC on processors of qemu, from one without AVX to one without AVX-512.
on_old_x86() {
    if ! have qemu-x86_64-static; then
        note old-x86 "skipped: no qemu-x86_64-static"
        return
    fi
    local qemu="qemu-x86_64-static -cpu"
    run Nehalem "baseline" $qemu Nehalem "$work/gcc/check" $sample
    run SandyBridge "baseline" $qemu SandyBridge "$work/gcc/check" $sample
    # qemu reads a whole register for a masked load, which processors do not
    run Haswell "baseline avx2" $qemu Haswell "$work/gcc/check" $sample unguarded
}

on_aarch64() {
    if [[ $(uname -m) == aarch64 ]]; then
        build aarch64 gcc baseline neon
        run aarch64 "baseline neon" "$work/aarch64/check"
        return
    fi
    if ! have aarch64-linux-gnu-gcc || ! have qemu-aarch64-static; then
        note aarch64 "skipped: needs aarch64-linux-gnu-gcc and qemu-aarch64-static"
        return
    fi
    extra=-static
    build aarch64 aarch64-linux-gnu-gcc baseline neon
    run aarch64 "baseline neon" qemu-aarch64-static "$work/aarch64/check" $sample
    alone transpose aarch64-linux-gnu-gcc neon qemu-aarch64-static
    alone dropout aarch64-linux-gnu-gcc neon qemu-aarch64-static
    local object
    for object in "$work"/aarch64/isa_neon_*.o; do
        ! contains aarch64-linux-gnu-objdump "$object" '\sfn?m(add|sub)\s' ||
            fail aarch64 "$object has a fused multiply-add"
    done
    if [[ $clang ]]; then
        build aarch64-clang "$clang --target=aarch64-linux-gnu" baseline neon
        run aarch64-clang "baseline neon" qemu-aarch64-static "$work/aarch64-clang/check" $sample
    fi
    extra=
}

# Emulators are slow: they take a sample of the cases, whose hash this machine gives first.
sample=every=9
clang=${CLANG:-$(command -v clang || command -v clang-19 || true)}
if [[ $(uname -m) == x86_64 ]]; then
    on_x86
    on_old_x86
fi
on_aarch64
if ((failures > 0)); then
    echo "$failures failures"
    exit 1
fi
