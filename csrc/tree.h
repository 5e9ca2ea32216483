/* The constants of the reduction trees that docs/reduction-trees.md fixes. Changing one changes the bits of results. */
#ifndef FN_TREE_H
#define FN_TREE_H

#include <stddef.h>

enum {
    FN_UNIT_BYTES = 64,      /* a unit: 16 float32 or 8 float64 lanes, on every ISA */
    FN_STRIP_UNITS = 16,     /* units of a row that are added quad by quad; four strips are a block, which is added in its */
    FN_BLOCK_UNITS = 64,     /* own dtype before double takes over */
    FN_GROUP_ROWS = 16,      /* rows of a column that are added in its own dtype before double takes over */
    FN_GRADIENT_ROWS = 8,    /* the same for sums of gradients, which may cancel to the root of their length */
    FN_PIVOT_REACH = 2,      /* sum((x - pivot)^2) / m2 beyond which moments are taken again */
    FN_ROW_SAMPLES = 8,      /* samples that the pivot of a row and of a column is made of */
    FN_COLUMN_SAMPLES = 16,
    FN_AGAIN_LANES = 8,      /* sums side by side of moments that are taken again */
    FN_SLAB_BYTES = 1 << 18, /* a slab of rows of a slice is at least this large, */
    FN_MAX_SLABS = 32,       /* and there are at most so many */
    FN_SLICE_COLUMNS = 512,  /* columns that are walked down at a time: their sums stay in the first-level cache */
    FN_FOLD_MAX_COLUMNS = 256,
    FN_FOLD_MIN_ROWS = 16,   /* folded rows below which folding does not pay */
};

/* Place k of the samples among n elements: multiples of the golden section, which are spread evenly however many there
 * are, and fall into step with no pattern of rows. */
static inline ptrdiff_t fn_sample(ptrdiff_t n, int k)
{
    static const unsigned short places[FN_COLUMN_SAMPLES] = {40503, 15470, 55974, 30941, 5909, 46412, 21380, 61883,
                                                             36851, 11818, 52322, 27289, 2257, 42760, 17728, 58231};
    return n * places[k] / 65536;
}

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

/* The tree over the quads of a strip, elements [begin, end) of a row. Declares `sum`; quad_of(j, n) is an expression for
 * what the n elements from j on contribute. n is the constant `quad` for whole quads, which lets the compiler drop every
 * bound check. */
#define FN_SUM_STRIP(type, sum, quad_of, add, quad, begin, end)                                                        \
    type sum;                                                                                                          \
    if ((end) - (begin) >= (quad)) {                                                                                   \
        ptrdiff_t at = (begin) + (quad);                                                                               \
        sum = quad_of(begin, quad);                                                                                    \
        for (; (end)-at >= (quad); at += (quad)) sum = add(sum, quad_of(at, quad));                                    \
        if (at < (end)) sum = add(sum, quad_of(at, (end)-at));                                                         \
    } else {                                                                                                           \
        sum = quad_of(begin, (end) - (begin));                                                                         \
    }

/* The same for a block, elements [0, n), n > 0. */
#define FN_SUM_BLOCK(type, sum, quad_of, add, quad, strip, n)                                                          \
    type strips[FN_BLOCK_UNITS / FN_STRIP_UNITS];                                                                      \
    int strips_of_block = 0;                                                                                           \
    ptrdiff_t first = 0;                                                                                               \
    do {                                                                                                               \
        const ptrdiff_t last = (n)-first < (strip) ? (n) : first + (strip);                                            \
        FN_SUM_STRIP(type, sum_of_strip, quad_of, add, quad, first, last)                                              \
        strips[strips_of_block++] = sum_of_strip;                                                                      \
        first = last;                                                                                                  \
    } while (first < (n));                                                                                             \
    type sum = strips[0];                                                                                              \
    if (strips_of_block > 1) sum = add(sum, strips[1]);                                                                \
    if (strips_of_block == 3) sum = add(sum, strips[2]);                                                               \
    if (strips_of_block == 4) sum = add(sum, add(strips[2], strips[3]));

#endif
