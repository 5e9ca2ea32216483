/* How work is cut and shared: the one place with sizes that were measured. None of them changes a bit of a result. */
#ifndef FN_WORK_H
#define FN_WORK_H

#include <stddef.h>
#include <stdint.h>

#include "fastnorm.h"
#include "half.h"
#include "parallel.h"
#include "tree.h"

enum {
    FN_PARALLEL_BYTES = 1 << 20,    /* smallest traffic that is worth a second thread, which may have to be woken */
    FN_TILE_BYTES = 1 << 16,        /* what a thread takes at a time, */
    FN_STREAM_TILE_BYTES = 1 << 18, /* of arrays from memory, whose fetching ahead starts anew with each */
    FN_ALIGN_BYTES = 1 << 13,       /* from here on what is written of a BatchNorm begins with a line */
    FN_TILE_COLUMN_BYTES = 1 << 12, /* of each coefficient of a BatchNorm, so that all of them stay in L1 */
    FN_SUMMED_ROWS = 4,             /* rows that the sums of a BatchNorm backward take at a time */
    FN_PART_BYTES = 1 << 13,        /* of each array, where one pass takes sums and writes: so that they stay in L1 */
    FN_PIECE_BYTES = 1 << 12,       /* of each array, where something follows a BatchNorm: those are more arrays */
    FN_GATHER_BYTES = 1
        << 14, /* of a tile of channels-first memory, and how many of its channels: rows of whole lines */
    FN_GATHER_COLUMNS = 32,
    FN_GATHER_ROWS = 64, /* of a tile that is applied */
    FN_GATHER_STREAM_BYTES = 256,
    FN_HALF_BLOCK = 1
        << 10, /* halves that are floats at a time, of which two arrays leave L1 half empty; whole strips */
    FN_BLOCKED_COLUMNS = 4096, /* channels from which a BatchNorm of few rows goes through the cache in blocks */
    /* Where the arrays of an operation have this size together, a BatchNorm fetches what it reads ahead, and every result
     * is written past the cache. A third of a cache of 32 MB that eight cores share, of which neighbours leave no more: a
     * plain store reads the line that it replaces, from memory then. Measured from 12 to 24 MB, on two cores of such a
     * machine: 1.2 to 1.4 times as fast as with plain stores, BatchNorm up to 3 times. */
    FN_STREAM_BYTES = 12 << 20,
    FN_STREAM_ROW_BYTES = 512,
    FN_FETCH_BYTES = 4 << 20, /* arrays from this size on may come from memory, or from a cache that others use, too */
};

static inline ptrdiff_t fn_item_bytes(fn_dtype dtype) { return dtype == FN_FLOAT32 ? 4 : 8; }
static inline ptrdiff_t fn_stored_item_bytes(fn_dtype dtype, fn_storage storage)
{
    return storage == FN_REAL ? fn_item_bytes(dtype) : 2;
}
static inline double fn_value_at(const void *array, ptrdiff_t i, ptrdiff_t item_bytes)
{
    return item_bytes == 4 ? (double)((const float *)array)[i] : ((const double *)array)[i];
}
static inline ptrdiff_t fn_ceil_div(ptrdiff_t a, ptrdiff_t b) { return a / b + (a % b != 0); }
static inline ptrdiff_t fn_round_up(ptrdiff_t a, ptrdiff_t to) { return fn_ceil_div(a, to) * to; }

/* The first place from p on where a unit begins on a cache line: elsewhere every load of one takes the time of two. */
static inline void *fn_aligned_up(void *p) { return (char *)p + (ptrdiff_t)(-(uintptr_t)p % FN_UNIT_BYTES); }

/* Runs fn over `tasks` tasks that touch `bytes` of memory together. */
static inline void fn_share(fn_range_fn fn, void *arg, ptrdiff_t tasks, ptrdiff_t bytes)
{
    if (bytes < FN_PARALLEL_BYTES || tasks < 2)
        fn(arg, 0, tasks);
    else
        fn_parallel_for(fn, arg, tasks, fn_get_num_threads());
}

#endif
