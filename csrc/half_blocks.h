/* Arrays of halves, block by block: whoever computes with them gets floats that lie in the first-level cache. */
#ifndef FN_HALF_BLOCKS_H
#define FN_HALF_BLOCKS_H

#include "half.h"
#include "work.h"

typedef struct {
    fn_storage storage;
    const void *a, *b; /* what is read; b is NULL where there is but one */
    void *to;          /* where a is put when it has been worked on: a, b or another array; NULL if nowhere */
} fn_halves;

/* Works on n numbers, from number `first` of the arrays on; b is NULL where halves have none. */
typedef void (*fn_floats_fn)(void *arg, ptrdiff_t first, ptrdiff_t n, float *a, float *b);

/* fn on numbers [begin, end), FN_HALF_BLOCK at a time. Results go through the cache: past it, with a fence for every block,
 * they took twice the time and more. */
void fn_by_blocks(const fn_halves *halves, ptrdiff_t begin, ptrdiff_t end, fn_floats_fn fn, void *arg);

#endif
