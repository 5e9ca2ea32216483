#include "arrays.h"

#include "half_blocks.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static ptrdiff_t strip_length(fn_dtype dtype) { return FN_STRIP_UNITS * FN_UNIT_BYTES / fn_item_bytes(dtype); }

fn_arrays fn_plan_arrays(fn_array *arrays, ptrdiff_t count)
{
    fn_arrays list = {.arrays = arrays, .count = count};
    for (ptrdiff_t i = 0; i < count; i++) {
        arrays[i].strips = list.strips;
        list.strips += fn_ceil_div(arrays[i].n, strip_length(arrays[i].dtype));
        list.bytes += arrays[i].n * fn_stored_item_bytes(arrays[i].dtype, arrays[i].storage);
    }
    return list;
}

typedef struct {
    const fn_arrays *list;
    fn_piece_fn fn;
    const void *op;
    fn_touch touch;
    int sums;
    fn_pair *of_parts; /* (parts, sums) */
} arrays_task;

/* The array that a strip belongs to: the last one that does not begin behind it. */
static const fn_array *array_of_strip(const fn_arrays *list, ptrdiff_t strip)
{
    ptrdiff_t low = 0, high = list->count;
    while (high - low > 1) {
        const ptrdiff_t middle = low + (high - low) / 2;
        if (list->arrays[middle].strips <= strip)
            low = middle;
        else
            high = middle;
    }
    return list->arrays + low;
}

/* ---- pieces ------------------------------------------------------------------------------------------------------ */

typedef struct {
    const arrays_task *task;
    fn_lane_sums *sums;
} floats_task;

static void work_on_floats(void *arg, ptrdiff_t first, ptrdiff_t n, float *a, float *b)
{
    const floats_task *f = arg;
    const fn_piece piece = {b ? b : a, f->task->touch == FN_READ ? NULL : a, n, FN_FLOAT32, 0};
    (void)first;
    f->task->fn(f->task->op, &piece, f->sums);
}

static void work_on_halves(const arrays_task *task, const fn_array *array, ptrdiff_t begin, ptrdiff_t end,
                           fn_lane_sums *sums)
{
    const int update = task->touch == FN_UPDATE;
    const fn_halves halves = {array->storage, update ? array->y : array->x, update ? array->x : NULL,
                              task->touch == FN_READ ? NULL : array->y};
    floats_task f = {task, sums};
    fn_by_blocks(&halves, begin, end, work_on_floats, &f);
}

static void work_on_reals(const arrays_task *task, const fn_array *array, ptrdiff_t begin, ptrdiff_t end,
                          fn_lane_sums *sums)
{
    const ptrdiff_t at = begin * fn_item_bytes(array->dtype);
    const int stream = task->touch == FN_WRITE && 2 * task->list->bytes >= FN_STREAM_BYTES && array->x != array->y;
    void *const y = task->touch == FN_READ ? NULL : (char *)array->y + at;
    const fn_piece piece = {(const char *)array->x + at, y, end - begin, array->dtype, stream};
    task->fn(task->op, &piece, sums);
}

/* Elements [begin, end) of an array. */
static void work_on(const arrays_task *task, const fn_array *array, ptrdiff_t begin, ptrdiff_t end, fn_lane_sums *sums)
{
    if (array->storage == FN_REAL)
        work_on_reals(task, array, begin, end, sums);
    else
        work_on_halves(task, array, begin, end, sums);
}

/* ---- parts ------------------------------------------------------------------------------------------------------- */

/* Works on strips [strip, end); returns the array of strip `end`, if there is one. */
static const fn_array *walk_part(const arrays_task *task, const fn_array *array, ptrdiff_t strip, ptrdiff_t end,
                                 fn_lane_sums *sums)
{
    for (;; array++) {
        const ptrdiff_t length = strip_length(array->dtype), strips = fn_ceil_div(array->n, length);
        const ptrdiff_t first = strip - array->strips, last = fn_min(end - array->strips, strips);
        work_on(task, array, first * length, fn_min(last * length, array->n), sums);
        strip = array->strips + last;
        if (strip == end) return last == strips ? array + 1 : array;
    }
}

static fn_pair sum_of_lanes(fn_lane_sums *s)
{
    for (ptrdiff_t half = FN_SUM_LANES / 2; half > 0; half /= 2)
        fn_add_sums(s->hi, s->lo, s->hi + half, s->lo + half, half, 1);
    return (fn_pair){s->hi[0], s->lo[0]};
}

static void arrays_range(void *arg, ptrdiff_t begin, ptrdiff_t end)
{
    const arrays_task *task = arg;
    fn_lane_sums sums[2];
    const fn_array *array = array_of_strip(task->list, begin * FN_PART_STRIPS);
    for (ptrdiff_t part = begin; part < end; part++) {
        const ptrdiff_t strip = part * FN_PART_STRIPS;
        memset(sums, 0, (size_t)task->sums * sizeof *sums);
        array = walk_part(task, array, strip, fn_min(strip + FN_PART_STRIPS, task->list->strips), sums);
        for (int i = 0; i < task->sums; i++) task->of_parts[part * task->sums + i] = sum_of_lanes(&sums[i]);
    }
}

static ptrdiff_t parts_of(const fn_arrays *list) { return fn_ceil_div(list->strips, FN_PART_STRIPS); }

static void share(arrays_task *task)
{
    const ptrdiff_t parts = parts_of(task->list);
    if (parts) fn_share(arrays_range, task, parts, (ptrdiff_t)task->touch * task->list->bytes);
}

void fn_for_arrays(const fn_arrays *list, fn_piece_fn fn, const void *op, fn_touch touch)
{
    arrays_task task = {.list = list, .fn = fn, .op = op, .touch = touch};
    share(&task);
}

int fn_take_scratch(fn_scratch *scratch, const fn_arrays *list, int sums)
{
    const size_t pairs = (size_t)(parts_of(list) * sums), few = sizeof scratch->few / sizeof *scratch->few;
    scratch->of_parts = pairs <= few ? scratch->few : malloc(pairs * sizeof(fn_pair));
    return scratch->of_parts ? 0 : -1;
}

void fn_give_scratch(fn_scratch *scratch)
{
    if (scratch->of_parts != scratch->few) free(scratch->of_parts);
}

void fn_sum_arrays(const fn_arrays *list, fn_piece_fn fn, const void *op, fn_touch touch, int sums, fn_scratch *scratch,
                   double *total)
{
    const ptrdiff_t pairs = parts_of(list) * sums;
    const fn_pair *part = scratch->of_parts;
    arrays_task task = {.list = list, .fn = fn, .op = op, .touch = touch, .sums = sums, .of_parts = scratch->of_parts};
    share(&task);
    for (int i = 0; i < sums; i++) {
        double hi = 0, lo = 0;
        for (ptrdiff_t k = i; k < pairs; k += sums) fn_add_sums(&hi, &lo, &part[k].hi, &part[k].lo, 1, 1);
        total[i] = isfinite(hi) ? hi + lo : hi; /* what two-sum has lost of infinity is NaN */
    }
}

int fn_exponent_again(double sum, int power)
{
    if (sum == HUGE_VAL) return -FN_EXPONENT_AGAIN;
    return power == 2 && sum < FN_LEAST_SQUARES ? FN_EXPONENT_AGAIN : 0;
}
