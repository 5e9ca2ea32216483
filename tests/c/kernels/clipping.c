/* Clipping of gradients. */
#include "../../../csrc/clipping.h"

#include "lists.h"

static int run_clip_by_value(const arguments *a)
{
    fn_array arrays[2];
    return fn_clipping.clip_by_value(arrays, cut_in_two(a, a->x, rooms[OUT].at, arrays), -0.8, 0.5);
}

static int run_clip_by_global_norm(const arguments *a)
{
    fn_array arrays[2];
    double norm;
    if (a->x != rooms[OUT].at) memcpy(rooms[OUT].at, a->x, rooms[OUT].bytes);
    const ptrdiff_t count = cut_in_two(a, rooms[OUT].at, rooms[OUT].at, arrays);
    const int status = fn_clipping.clip_by_global_norm(arrays, count, 0.5, &norm);
    fill_means(a, norm);
    return status;
}

const operation clipping_operations[] = {
    {"clip_by_value", 1, 0, 0, run_clip_by_value, {{"y", OUT, 0}}},
    {"clip_by_global_norm", 1, 0, 0, run_clip_by_global_norm, {{"x", OUT, 0}, {"norm", OUT_MEAN, 1}}},
    {0},
};
