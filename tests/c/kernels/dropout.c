/* Dropout. */
#include "drop.h"

static int run_dropout(const arguments *a)
{
    const fn_dropout_op op = {.n = a->m * a->n, .x = a->x, .y = rooms[OUT].at, .scale = DROP_SCALE, .key = drop_key(a)};
    return fn_dropout.apply(&op, a->dtype);
}

const operation dropout_operations[] = {
    {"dropout", 1, 0, 0, run_dropout, {{"y", OUT, 0}}},
    {0},
};
