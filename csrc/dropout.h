/* Dropout: elements are kept or not by random words that are a function of a key and of the element's index alone. */
#ifndef FN_DROPOUT_H
#define FN_DROPOUT_H

#include "fastnorm.h"
#include "half.h"

/* The words are those of Philox 4x32-10 (Salmon, Moraes, Dror & Shaw, SC 2011), key and counter from the lowest word up:
 * key (seed), counter (index / 4, offset). Of the four words of a block the element takes number index % 4, and is kept if
 * that is at least the threshold. */
typedef struct {
    uint64_t seed, offset;
    uint32_t threshold;
} fn_dropout_key;

typedef struct {
    ptrdiff_t n;
    const void *x;       /* real (n) */
    void *y;             /* real (n): x * scale where kept, else 0; may be x */
    double scale;        /* rounded to the dtype by kernels */
    unsigned char *mask; /* a bit for each element, the lowest first: whether it is kept; or NULL */
    fn_dropout_key key;
    fn_storage storage; /* drivers: of x and y */
} fn_dropout_op;

/* The kernels of one ISA and dtype. */
typedef struct {
    /* n elements from index `first` on, a multiple of FN_DROPOUT_BLOCK; x, y and mask point at the first of them. */
    void (*apply)(const fn_dropout_op *op, ptrdiff_t first, ptrdiff_t n, const void *x, void *y, unsigned char *mask);
} fn_dropout_kernels;

enum { FN_DROPOUT_BLOCK = 256 }; /* elements whose words are drawn at a time */

typedef struct {
    int (*apply)(const fn_dropout_op *op, fn_dtype dtype);
} fn_dropout_drivers;

extern const fn_dropout_drivers fn_dropout;

#endif
