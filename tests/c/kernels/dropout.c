/* Dropout. */
#include "../../../csrc/dropout.h"

#include "kernels.h"

static int run_dropout(const arguments *a)
{
    const fn_dropout_op op = {.n = a->m * a->n,
                              .x = a->x,
                              .y = rooms[OUT].at,
                              .scale = 1 / 0.7,
                              .key = {(uint64_t)a->m << 40 | 7, (uint64_t)a->n << 50, 1288490189}};
    return fn_dropout.apply(&op, a->dtype);
}

const operation dropout_operations[] = {
    {"dropout", 1, 0, 0, run_dropout, {{"y", OUT, 0}}},
    {0},
};
