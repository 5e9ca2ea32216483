/* Penalties on weights. */
#include "../../../csrc/penalties.h"

#include "lists.h"

static int run_elastic_net_penalty(const arguments *a)
{
    static unsigned char weights[MOST_BYTES];
    const fn_penalty op = {FN_PENALTY_L1 | FN_PENALTY_L2, 0.3, 0.7};
    const void *w = a->x;
    fn_array arrays[2];
    double value;
    if (w == rooms[OUT].at)
        w = memcpy(weights, a->x, rooms[OUT].bytes); /* which may not be its gradient */
    else
        memcpy(rooms[OUT].at, a->x, rooms[OUT].bytes);
    const ptrdiff_t count = cut_in_two(a, w, rooms[OUT].at, arrays);
    const int status = fn_penalties.penalty(arrays, count, &op, &value);
    fill_means(a, value);
    return status;
}

static int run_soft_threshold(const arguments *a)
{
    fn_array arrays[2];
    return fn_penalties.soft_threshold(arrays, cut_in_two(a, a->x, rooms[OUT].at, arrays), 0.6);
}

const operation penalties_operations[] = {
    {"elastic_net_penalty", 1, 0, 0, run_elastic_net_penalty, {{"grad", OUT, 0}, {"value", OUT_MEAN, 1}}},
    {"soft_threshold", 1, 0, 0, run_soft_threshold, {{"y", OUT, 0}}},
    {0},
};
