/* Half precision: arrays whose numbers lie in memory in 16 bits and are computed with in float32, tile by tile. */
#ifndef FN_HALF_H
#define FN_HALF_H

#include "fastnorm.h"

/* How the numbers of an array lie in memory: as the real dtype of its operation, or as a half, that dtype being float32. */
typedef enum {
    FN_REAL,
    FN_FLOAT16,  /* IEEE 754 binary16 */
    FN_BFLOAT16, /* the upper half of a float32 */
    FN_STORAGES
} fn_storage;

/* The kernels of one ISA, of which only FN_FLOAT32 has any; NULL for FN_REAL. */
typedef struct {
    void (*widen[FN_STORAGES])(const void *from, float *to, ptrdiff_t n);
    void (*narrow[FN_STORAGES])(const float *from, void *to, ptrdiff_t n, int stream);
} fn_half_kernels;

/* n numbers; exact. */
void fn_widen(fn_storage storage, const void *from, float *to, ptrdiff_t n);

/* n numbers, rounded to nearest even, what is too large to infinity; past the cache if `stream`. */
void fn_narrow(fn_storage storage, const float *from, void *to, ptrdiff_t n, int stream);

#endif
