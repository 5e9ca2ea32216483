#include "rows.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "exact.h"
#include "slabs.h"
#include "tree.h"
#include "work.h"

/* ---- tiles ------------------------------------------------------------------------------------------------------- */

ptrdiff_t fn_row_bytes(fn_row_format format) { return format.n * fn_item_bytes(format.dtype); }

ptrdiff_t fn_stored_bytes(fn_row_format format)
{
    return format.n * fn_stored_item_bytes(format.dtype, format.storage);
}

/* How many rows are taken one after the other, from the first of them at or after *row on; 0 if there is none. */
static ptrdiff_t next_run(const fn_tile *t, ptrdiff_t *row)
{
    if (!t->where) return t->end - *row;
    while (*row < t->end && !t->where[*row]) ++*row;
    ptrdiff_t last = *row;
    while (last < t->end && t->where[last]) last++;
    return last - *row;
}

static int lies_ready(const fn_tile *t, fn_row_format format)
{
    return format.storage == FN_REAL && t->rows == t->end - t->begin;
}

const void *fn_row_numbers(fn_row_format format, const void *array, ptrdiff_t at, ptrdiff_t count, void *space)
{
    if (format.storage == FN_REAL) return (const char *)array + at * fn_item_bytes(format.dtype);
    fn_widen(format.storage, (const char *)array + 2 * at, space, count);
    return space;
}

void fn_row_put(fn_row_format format, const void *from, void *array, ptrdiff_t at, ptrdiff_t count)
{
    const ptrdiff_t size = fn_item_bytes(format.dtype);
    if (format.storage != FN_REAL)
        fn_narrow(format.storage, from, (char *)array + 2 * at, count, 0);
    else
        memcpy((char *)array + at * size, from, (size_t)(count * size));
}

const void *fn_tile_load(const fn_tile *t, fn_row_format format, const void *array, void *space)
{
    if (lies_ready(t, format)) return (const char *)array + t->begin * fn_row_bytes(format);
    char *to = space;
    for (ptrdiff_t row = t->begin, run; (run = next_run(t, &row)) > 0; row += run) {
        const void *from = fn_row_numbers(format, array, row * format.n, run * format.n, to);
        if (from != to) memcpy(to, from, (size_t)(run * fn_row_bytes(format)));
        to += run * fn_row_bytes(format);
    }
    return space;
}

void *fn_tile_place(const fn_tile *t, fn_row_format format, void *array, void *space)
{
    return array && lies_ready(t, format) ? (char *)array + t->begin * fn_row_bytes(format) : space;
}

void fn_tile_store(const fn_tile *t, fn_row_format format, const void *rows, void *array)
{
    const ptrdiff_t bytes = fn_stored_bytes(format);
    const char *from = rows;
    if (lies_ready(t, format) && from == (char *)array + t->begin * bytes) return;
    for (ptrdiff_t row = t->begin, run; row < t->end; row += run) {
        const ptrdiff_t gap = row;
        run = next_run(t, &row);
        memset((char *)array + gap * bytes, 0, (size_t)((row - gap) * bytes));
        if (run > 0) fn_row_put(format, from, array, row * format.n, run * format.n);
        from += run * fn_row_bytes(format);
    }
}

/* ---- how rows are shared ----------------------------------------------------------------------------------------- */

/* Space for each thread: whoever works takes a part that is free, of which there are as many as threads. */
typedef struct {
    const fn_rows *rows;
    ptrdiff_t tile_rows;
    ptrdiff_t array_bytes, statistic_bytes, part_bytes;
    int threads;
    char *parts; /* NULL if none is needed */
    void *block;
} workplaces;

typedef struct {
    _Atomic int taken;
} part_head;

static int make_workplaces(workplaces *w, const fn_rows *rows, ptrdiff_t tile_rows, ptrdiff_t tasks)
{
    const int serial = rows->work < FN_PARALLEL_BYTES || tasks < 2;
    *w = (workplaces){.rows = rows, .tile_rows = tile_rows};
    w->threads = serial ? 1 : (int)fn_min(fn_get_num_threads(), tasks);
    if (rows->spaces == 0) return 0;
    w->array_bytes = fn_round_up(tile_rows * fn_row_bytes(rows->format), FN_UNIT_BYTES);
    w->statistic_bytes = fn_round_up(tile_rows * (ptrdiff_t)sizeof(double), FN_UNIT_BYTES);
    w->part_bytes = FN_UNIT_BYTES + rows->spaces * w->array_bytes + 2 * w->statistic_bytes;
    w->block = malloc((size_t)(w->threads * w->part_bytes + FN_UNIT_BYTES));
    if (!w->block) return -1;
    w->parts = fn_aligned_up(w->block);
    for (int i = 0; i < w->threads; i++) atomic_init(&((part_head *)(w->parts + i * w->part_bytes))->taken, 0);
    return 0;
}

/* A part that is the caller's until it gives it back; a tile in it, of no rows yet. */
static part_head *take_part(const workplaces *w, fn_tile *t)
{
    *t = (fn_tile){.where = w->rows->where, .stream = w->rows->stream, .space_bytes = w->array_bytes};
    if (!w->parts) return NULL;
    for (int i = 0;; i = (i + 1) % w->threads) {
        char *part = w->parts + i * w->part_bytes;
        if (atomic_exchange_explicit(&((part_head *)part)->taken, 1, memory_order_acquire)) continue;
        t->mean = (double *)(part + FN_UNIT_BYTES);
        t->rstd = (double *)(part + FN_UNIT_BYTES + w->statistic_bytes);
        t->space = part + FN_UNIT_BYTES + 2 * w->statistic_bytes;
        return (part_head *)part;
    }
}

static void give_back(part_head *part)
{
    if (part) atomic_store_explicit(&part->taken, 0, memory_order_release);
}

/* The tile becomes rows from `begin` on, to the `most`-th that is taken or to `last`; if the first is not taken, only those
 * before the next that is, so that others may lie together. */
static void tile_from(fn_tile *t, ptrdiff_t begin, ptrdiff_t last, ptrdiff_t most)
{
    t->begin = begin;
    t->end = fn_min(last, begin + most);
    t->rows = t->end - begin;
    if (!t->where) return;
    t->rows = 0;
    t->end = begin;
    while (t->end < last && !t->where[t->end]) t->end++;
    if (t->end > begin) return;
    for (; t->end < last && t->rows < most; t->end++) t->rows += t->where[t->end] != 0;
}

int fn_rows_stream(const fn_rows *rows, int whole_lines, const void *result, const void *x, const void *dy)
{
    /* short rows would leave too many lines half written */
    whole_lines |= fn_row_bytes(rows->format) >= FN_STREAM_ROW_BYTES;
    return rows->bytes >= FN_STREAM_BYTES && whole_lines && result != x && result != dy;
}

ptrdiff_t fn_rows_taken(const fn_rows *rows)
{
    ptrdiff_t taken = rows->where ? 0 : rows->m;
    for (ptrdiff_t row = 0; rows->where && row < rows->m; row++) taken += rows->where[row] != 0;
    return taken;
}

/* ---- forward ----------------------------------------------------------------------------------------------------- */

typedef struct {
    workplaces w;
    ptrdiff_t rows; /* of a task */
    void (*tile)(const void *op, const fn_tile *t);
    const void *op;
} fwd_task;

static void fwd_range(void *arg, ptrdiff_t begin, ptrdiff_t end)
{
    const fwd_task *task = arg;
    const ptrdiff_t first = begin * task->rows, last = fn_min(end * task->rows, task->w.rows->m);
    fn_tile t;
    part_head *part = take_part(&task->w, &t);
    for (t.end = first; t.end < last;) {
        const ptrdiff_t most = task->w.rows->tiled ? task->w.tile_rows : last - first;
        tile_from(&t, t.end, fn_min(last, t.end + most), most);
        task->tile(task->op, &t);
    }
    give_back(part);
}

int fn_rows_forward(const fn_rows *rows, void (*tile)(const void *op, const fn_tile *t), const void *op)
{
    const ptrdiff_t row_bytes = fn_row_bytes(rows->format), some = fn_max(1, FN_TILE_BYTES / row_bytes);
    /* whole groups of short rows; a row needs no neighbour, so that tasks of long ones may be smaller than a group */
    const ptrdiff_t most = fn_round_up(some, FN_GROUP_ROWS), tile_rows = some < FN_GROUP_ROWS ? some : most;
    fwd_task task = {.rows = row_bytes > FN_TILE_BYTES / 4 ? 1 : most, .tile = tile, .op = op};
    const ptrdiff_t tasks = fn_ceil_div(rows->m, task.rows);
    if (make_workplaces(&task.w, rows, tile_rows, tasks)) return -1;
    fn_parallel_for(fwd_range, &task, tasks, task.w.threads);
    free(task.w.block);
    return 0;
}

/* ---- backward ---------------------------------------------------------------------------------------------------- */

typedef struct {
    workplaces w;
    fn_backward_tile *tile;
    const void *op;
    ptrdiff_t slabs, slab_rows;
    ptrdiff_t starts[FN_MAX_SLABS + 1]; /* the rows of the arrays that slabs begin with */
    int count, exact;
    ptrdiff_t padded; /* numbers of a sum */
    double *sums;     /* (slabs, count, 1 or, if exact, 2, padded) */
    fn_waiting_slabs waiting;
} bwd_task;

static fn_row_sum sum_of_slab(const bwd_task *task, ptrdiff_t slab, int i)
{
    const ptrdiff_t arrays = task->exact ? 2 : 1;
    double *hi = task->sums + (slab * task->count + i) * arrays * task->padded;
    return (fn_row_sum){hi, task->exact ? hi + task->padded : hi};
}

static void add_slab(const void *context, ptrdiff_t to, ptrdiff_t from)
{
    const bwd_task *task = context;
    for (int i = 0; i < task->count; i++) {
        const fn_row_sum a = sum_of_slab(task, to, i), b = sum_of_slab(task, from, i);
        fn_add_sums(a.hi, a.lo, b.hi, b.lo, task->w.rows->columns, task->exact);
    }
}

static void bwd_range(void *arg, ptrdiff_t begin, ptrdiff_t end)
{
    bwd_task *task = arg;
    fn_tile t;
    part_head *part = take_part(&task->w, &t);
    for (ptrdiff_t slab = begin; slab < end; slab++) {
        const ptrdiff_t last = task->starts[slab + 1];
        const ptrdiff_t most = task->w.rows->tiled ? task->w.tile_rows : last - task->starts[slab];
        fn_row_sum sums[2] = {{NULL, NULL}, {NULL, NULL}};
        for (int i = 0; i < task->count; i++) {
            sums[i] = sum_of_slab(task, slab, i);
            memset(sums[i].hi, 0, (size_t)((task->exact ? 2 : 1) * task->padded) * sizeof(double));
        }
        for (t.end = task->starts[slab]; t.end < last;) {
            tile_from(&t, t.end, last, most);
            task->tile(task->op, &t, sums);
        }
        if (task->count > 0) fn_slab_done(&task->waiting, task->slabs, slab, add_slab, task);
    }
    give_back(part);
}

/* Cuts as if rows that are not taken were not there; each of these goes with the rows after it. */
static void cut_slabs(bwd_task *task, ptrdiff_t taken)
{
    const fn_rows *rows = task->w.rows;
    const ptrdiff_t most = taken * fn_row_bytes(rows->format) / FN_SLAB_BYTES;
    task->slab_rows = fn_round_up(fn_ceil_div(taken, fn_max(1, fn_min(FN_MAX_SLABS, most))), rows->group);
    task->slabs = fn_max(1, fn_ceil_div(taken, fn_max(1, task->slab_rows)));
    for (ptrdiff_t slab = 1; slab < task->slabs; slab++) task->starts[slab] = slab * task->slab_rows;
    task->starts[0] = 0;
    task->starts[task->slabs] = rows->m;
    fn_tile t = {.where = rows->where};
    for (ptrdiff_t slab = 1; rows->where && slab < task->slabs; slab++) {
        for (ptrdiff_t n = task->slab_rows; n > 0; n -= t.rows) tile_from(&t, t.end, rows->m, n);
        task->starts[slab] = t.end;
    }
}

static void write_sum(const bwd_task *task, int i, void *out)
{
    const fn_row_sum sum = sum_of_slab(task, 0, i);
    const ptrdiff_t n = out ? task->w.rows->columns : 0;
    const double *restrict hi = sum.hi, *restrict lo = sum.lo;
    double *restrict doubles = out;
    float *restrict floats = out;
    for (ptrdiff_t j = 0; task->exact && j < n; j++) doubles[j] = hi[j] + lo[j];
    for (ptrdiff_t j = 0; !task->exact && j < n; j++) floats[j] = (float)hi[j];
}

ptrdiff_t fn_backward_tile_rows(const fn_rows *rows)
{
    const ptrdiff_t some = fn_max(1, FN_TILE_BYTES / fn_row_bytes(rows->format));
    return fn_round_up(some, fn_min(rows->group, FN_GRADIENT_ROWS)); /* of a kernel's groups */
}

int fn_rows_backward(const fn_rows *rows, fn_backward_tile *tile, const void *op, int count, void *const *out)
{
    bwd_task task = {.tile = tile, .op = op, .count = count, .exact = rows->format.dtype == FN_FLOAT64};
    const ptrdiff_t tile_rows = fn_backward_tile_rows(rows);
    task.w.rows = rows;
    cut_slabs(&task, fn_rows_taken(rows));
    task.padded = fn_round_up(rows->columns + FN_UNIT_BYTES / 4 - 1, FN_UNIT_BYTES / 4);
    const ptrdiff_t arrays = task.slabs * count * (task.exact ? 2 : 1);
    void *block = count ? malloc((size_t)(arrays * task.padded) * sizeof(double) + FN_UNIT_BYTES) : NULL;
    int status = count && !block ? -1 : 0;
    if (status == 0) status = make_workplaces(&task.w, rows, fn_max(1, fn_min(tile_rows, task.slab_rows)), task.slabs);
    if (status == 0) {
        task.sums = block ? fn_aligned_up(block) : NULL;
        fn_parallel_for(bwd_range, &task, task.slabs, task.w.threads);
        for (int i = 0; i < count; i++) write_sum(&task, i, out[i]);
        free(task.w.block);
    }
    free(block);
    return status;
}
