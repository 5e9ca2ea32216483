/* What every source of kernels begins with. Each is compiled once for every ISA, after -include isa/<isa>.h, which chooses
 * the vocabulary; the family's table is all that it exports. */
#ifndef FN_KERNELS_H
#define FN_KERNELS_H

#include <math.h>
#include <string.h>

#include "../compiler.h"
#include "../exact.h"
#include "../fastnorm.h"
#include "../tree.h"

enum {
    FN_FETCH_ROWS_BYTES = 1 << 19,  /* rows that are fetched while others are written, at most: L2 has to hold both */
    FN_FETCH_AHEAD_BYTES = 1 << 15, /* how far ahead of more than these */
    FN_HUGE_ROW_BYTES = 1 << 15,    /* rows beyond this are not taken several at a time */
    FN_TURN_BYTES = 1 << 12,        /* of rows: how much is read before as much is written, past the cache */
    FN_BLOCK_BYTES = 1 << 13,       /* a block in L1, for what goes past the cache by whole lines */
};

/* The name of a family's table on this ISA, which FN_TABLES in dispatch.h knows: FN_TABLE(layernorm) is fn_layernorm_avx2. */
#define FN_TABLE(family) FN_TABLE_OF(family, FN_ISA)
#define FN_TABLE_OF(family, isa) FN_TABLE_NAME(family, isa)
#define FN_TABLE_NAME(family, isa) fn_##family##_##isa

/* Calls step(j, n) for every register of columns: n is the constant VLANES for whole registers, which lets the compiler
 * drop bound checks, and what is left for the last. */
#define FN_FOR_COLUMNS(cols, step)                                                                                     \
    do {                                                                                                               \
        const ptrdiff_t last_whole = (cols)-VLANES;                                                                    \
        ptrdiff_t column = 0;                                                                                          \
        for (; column <= last_whole; column += VLANES) step(column, VLANES);                                           \
        if (column < (cols)) step(column, (cols)-column);                                                              \
    } while (0)

/* The same by units, register by register of each, line(j) before it: what is done once a cache line. */
#define FN_FOR_UNITS(cols, line, step)                                                                                 \
    do {                                                                                                               \
        const ptrdiff_t last_unit = (cols)-LANES, last_whole = (cols)-VLANES;                                          \
        ptrdiff_t column = 0;                                                                                          \
        for (; column <= last_unit; column += LANES) {                                                                 \
            line(column);                                                                                              \
            FN_UNROLL for (ptrdiff_t at = 0; at < LANES; at += VLANES) step(column + at, VLANES);                      \
        }                                                                                                              \
        if (column < (cols)) line(column);                                                                             \
        for (; UREGS > 1 && column <= last_whole; column += VLANES) step(column, VLANES);                              \
        if (column < (cols)) step(column, (cols)-column);                                                              \
    } while (0)

/* Marks the wide columns, those j for which is_wide(j) holds. One pass without branches finds that there is none, as a rule. */
#define FN_MARK_WIDE(c, out, is_wide)                                                                                  \
    do {                                                                                                               \
        int64_t any = 0;                                                                                               \
        (out)->wide_count = 0;                                                                                         \
        for (ptrdiff_t j = 0; j < (c); j++) any |= is_wide(j);                                                         \
        for (ptrdiff_t j = 0; any && j < (c); j++) {                                                                   \
            (out)->wide[j] = is_wide(j) != 0;                                                                          \
            (out)->wide_count += (out)->wide[j];                                                                       \
        }                                                                                                              \
    } while (0)

#endif
