/* The constants of the reduction trees that docs/reduction-trees.md fixes. Changing one changes the bits of results. */
#ifndef FN_TREE_H
#define FN_TREE_H

#include <stddef.h>

enum {
    FN_UNIT_BYTES = 64,      /* a unit: 16 float32 or 8 float64 lanes, on every ISA */
    FN_BLOCK_UNITS = 16,     /* units of a row that are added in its own dtype before double takes over */
    FN_GROUP_ROWS = 16,      /* rows of a column that are added in its own dtype before double takes over */
    FN_GRADIENT_ROWS = 8,    /* the same for sums of gradients, which may cancel to the root of their length */
    FN_FIRST_CHUNK_UNITS = 64,
    FN_FIRST_CHUNK_ROWS = 64,
    FN_CHUNK_GROWTH = 4,     /* a chunk ends where this many times the elements before it have been taken */
    FN_SLAB_BYTES = 1 << 18, /* a slab of rows is at least this large, */
    FN_MAX_SLABS = 32,       /* and there are at most so many */
    FN_FOLD_MAX_COLUMNS = 256,
    FN_FOLD_MIN_ROWS = 16,   /* folded rows below which folding does not pay */
};

/* Rows of a group in the LayerNorm backward: fewer of long ones, so that dy and x stay in the second-level cache. */
static inline int fn_layernorm_bwd_group_rows(ptrdiff_t row_bytes)
{
    return row_bytes <= 32768 ? FN_GRADIENT_ROWS : FN_GRADIENT_ROWS / 2;
}

/* The tree over the rows of a group: four at a time, (0 + 1) + (2 + 3), and the fours in order. Declares `sum`;
 * row(i) is an expression for what row i contributes, add the addition of two such values. */
#define FN_SUM_QUAD(type, sum, row, add, i, rows)                                                                      \
    type sum = row(i);                                                                                                 \
    if ((rows) > (i) + 1) sum = add(sum, row((i) + 1));                                                                \
    if ((rows) > (i) + 2) {                                                                                            \
        type half = row((i) + 2);                                                                                      \
        if ((rows) > (i) + 3) half = add(half, row((i) + 3));                                                          \
        sum = add(sum, half);                                                                                          \
    }

#define FN_SUM_GROUP(type, sum, row, add, rows)                                                                        \
    FN_SUM_QUAD(type, sum, row, add, 0, rows)                                                                          \
    for (int four = 4; four < (rows); four += 4) {                                                                     \
        FN_SUM_QUAD(type, next, row, add, four, rows)                                                                  \
        sum = add(sum, next);                                                                                          \
    }

#endif
