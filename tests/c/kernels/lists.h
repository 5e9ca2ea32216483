/* What operations on lists of arrays share. */
#ifndef FN_CHECK_LISTS_H
#define FN_CHECK_LISTS_H

#include "../../../csrc/arrays.h"
#include "kernels.h"

/* x as a list of its first row and the others. */
static inline ptrdiff_t cut_in_two(const arguments *a, const void *x, void *y, fn_array *arrays)
{
    const ptrdiff_t bytes = a->n * (a->dtype == FN_FLOAT32 ? 4 : 8);
    arrays[0] = (fn_array){.x = x, .y = y, .n = a->n, .dtype = a->dtype};
    arrays[1] =
        (fn_array){.x = (const char *)x + bytes, .y = (char *)y + bytes, .n = (a->m - 1) * a->n, .dtype = a->dtype};
    return a->m > 1 ? 2 : 1;
}

/* The one number of a list, where others give a number a row. */
static inline void fill_means(const arguments *a, double value)
{
    for (ptrdiff_t i = 0; i < a->m; i++) ((double *)rooms[OUT_MEAN].at)[i] = value;
}

#endif
