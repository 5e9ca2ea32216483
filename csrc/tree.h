/* The constants of the reduction trees that docs/reduction-trees.md fixes. Changing one changes the bits of results. */
#ifndef FN_TREE_H
#define FN_TREE_H

#include <stddef.h>

enum {
    FN_UNIT_BYTES = 64,   /* a unit: 16 float32 or 8 float64 lanes, on every ISA */
    FN_STRIP_UNITS = 16,  /* units of a row that are added quad by quad; four strips are a block, after which double */
                          /* takes over */
    FN_GROUP_ROWS = 16,   /* rows of a column that are added in its own dtype before double takes over */
    FN_GRADIENT_ROWS = 8, /* the same in a LayerNorm backward, whose sums may cancel to the root of their length */
    FN_EXACT_ROWS = 2,    /* the same where its terms are exact, */
    FN_PLAIN_ROWS = 16,   /* as they are of more rows than these */
    FN_PIVOT_REACH = 2,   /* sum((x - pivot)^2) / m2 beyond which moments are taken again */
    FN_ROW_SAMPLES = 8,   /* samples that the pivot of a row and of a column is made of */
    FN_COLUMN_SAMPLES = 16,
    FN_AGAIN_LANES = 8,      /* sums side by side of moments that are taken again */
    FN_SLAB_BYTES = 1 << 18, /* a slab of rows of a slice is at least this large, */
    FN_MAX_SLABS = 32,       /* and there are at most so many */
    FN_SLICE_COLUMNS = 512,  /* columns that are walked down at a time: their sums stay in the first-level cache */
    FN_SAMPLE_ROWS = 64,     /* rows of a GroupNorm sample from which on its columns have moments of their own */
    FN_SLAB_ROWS = 32,       /* rows of samples that have sums for dgamma and dbeta of their own, at least */
    FN_SAMPLE_BYTES = 1
        << 21, /* a sample from this size on is shared by all threads, smaller ones are taken side by side */
    FN_FOLD_MAX_COLUMNS = 256,
    FN_FOLD_MIN_ROWS = 16,   /* folded rows below which folding does not pay */
    FN_SUM_LANES = 16,       /* sums side by side of lists of arrays, in double */
    FN_PART_STRIPS = 64,     /* strips of a list of arrays that are added by themselves */
    FN_EXPONENT_AGAIN = 600, /* 2^600 or 2^-600 brings numbers whose sum has left the range of double back into it */
};

/* A sum of squares from here on has lost nothing that shows to those that underflow. */
#define FN_LEAST_SQUARES 0x1p-960

/* Place k of the samples among n elements: multiples of the golden section, which are spread evenly however many there
 * are, and fall into step with no pattern of rows. */
static inline ptrdiff_t fn_sample(ptrdiff_t n, int k)
{
    static const unsigned short places[FN_COLUMN_SAMPLES] = {40503, 15470, 55974, 30941, 5909, 46412, 21380, 61883,
                                                             36851, 11818, 52322, 27289, 2257, 42760, 17728, 58231};
    return n * places[k] / 65536;
}

/* Rows of a group in the LayerNorm backward, FN_GROUP_ROWS at most: fewer of huge ones, so that dy and x stay in the
 * second-level cache. Exact terms are added two by two anyway: so many rows then that they stay in the first, and of short
 * ones more, for the chain from sums to coefficients is as long for one row as for 16. */
static inline int fn_layernorm_bwd_group_rows(ptrdiff_t row_bytes, int exact)
{
    const ptrdiff_t strip = FN_STRIP_UNITS * FN_UNIT_BYTES;
    if (exact && row_bytes > strip) return FN_EXACT_ROWS;
    if (exact && row_bytes <= strip / 2) return FN_GROUP_ROWS;
    return row_bytes <= 32768 ? FN_GRADIENT_ROWS : FN_GRADIENT_ROWS / 2;
}

/* The tree over four at most, (0 + 1) + (2 + 3): the units of a quad, the strips of a block, rows. Declares `sum`;
 * row(i) is an expression for what item i contributes, add the addition of two such values. */
#define FN_SUM_QUAD(type, sum, row, add, i, rows)                                                                      \
    type sum = row(i);                                                                                                 \
    if ((rows) > (i) + 1) sum = add(sum, row((i) + 1));                                                                \
    if ((rows) > (i) + 2) {                                                                                            \
        type half = row((i) + 2);                                                                                      \
        if ((rows) > (i) + 3) half = add(half, row((i) + 3));                                                          \
        sum = add(sum, half);                                                                                          \
    }

/* The same over the rows of a group: four at a time, the fours in order. `loop` is FN_UNROLL for a constant number of rows, or
 * nothing. */
#define FN_SUM_GROUP(loop, type, sum, row, add, rows)                                                                  \
    FN_SUM_QUAD(type, sum, row, add, 0, rows)                                                                          \
    loop for (int four = 4; four < (rows); four += 4)                                                                  \
    {                                                                                                                  \
        FN_SUM_QUAD(type, next, row, add, four, rows)                                                                  \
        sum = add(sum, next);                                                                                          \
    }

/* The tree over the quads of a strip, n > 0 elements. Declares `sum`; quad_of(j, n) is an expression for what the n
 * elements from j on contribute. n is the constant `quad` for whole quads, which lets the compiler drop every bound
 * check. */
#define FN_SUM_STRIP(type, sum, quad_of, add, quad, n)                                                                 \
    type sum;                                                                                                          \
    if ((n) >= (quad)) {                                                                                               \
        ptrdiff_t at = (quad);                                                                                         \
        sum = quad_of(0, quad);                                                                                        \
        for (; (n)-at >= (quad); at += (quad)) sum = add(sum, quad_of(at, quad));                                      \
        if (at < (n)) sum = add(sum, quad_of(at, (n)-at));                                                             \
    } else {                                                                                                           \
        sum = quad_of(0, n);                                                                                           \
    }

#endif
