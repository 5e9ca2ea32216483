/* What operations with a dropout in them share: three tenths are dropped, by a key that goes with the shape. */
#ifndef FN_CHECK_DROP_H
#define FN_CHECK_DROP_H

#include "../../../csrc/dropout.h"
#include "kernels.h"

#define DROP_SCALE (1 / 0.7)

static inline fn_dropout_key drop_key(const arguments *a)
{
    return (fn_dropout_key){(uint64_t)a->m << 40 | 7, (uint64_t)a->n << 50, 1288490189};
}

#endif
