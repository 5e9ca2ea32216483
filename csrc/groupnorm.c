/* GroupNorm. Samples of few rows are rows to rows.c. Others are taken one after the other, each as columns.c and
 * columns_apply.c have a BatchNorm: ranges of samples are slabs, taken side by side, whose shares of dgamma and dbeta are
 * added in pairs; of large samples there is one slab, and each is cut into slabs of its own. */
#include "groupnorm.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "columns_apply.h"
#include "dispatch.h"
#include "exact.h"
#include "fpenv.h"
#include "rows.h"
#include "slabs.h"
#include "tree.h"
#include "work.h"

FN_TABLES(batchnorm)
FN_TABLES(groupnorm)

/* Arrays of as many doubles as a sample has columns, beside its sums: those of groups, mean and rstd of columns, gamma and
 * beta where there are none. */
enum { SPARE = 9 };

/* How an operation is cut, and what is worked with. */
typedef struct {
    fn_columns plan; /* of a sample */
    const fn_batchnorm_kernels *columns;
    const fn_groupnorm_kernels *kernels;
    fn_columns_loader loader;
    int loaded;
    ptrdiff_t samples, groups, bytes; /* bytes of a sample */
    ptrdiff_t slabs, slab_samples;
    ptrdiff_t space; /* bytes for each slab, */
    char *spaces;    /* or NULL: on the stack */
} sample_plan;

/* And the rows of samples that pivots are made of, where they are loaded. */
static ptrdiff_t spare_of(const sample_plan *s)
{
    return s->loaded ? SPARE + FN_COLUMN_SAMPLES * s->plan.item_bytes / (ptrdiff_t)sizeof(double) : SPARE;
}

/* -1 if there is no memory, which release() gives back. */
static int plan_samples(sample_plan *s, ptrdiff_t m, ptrdiff_t p, ptrdiff_t c, ptrdiff_t groups,
                        const fn_columns_source *source, fn_dtype dtype)
{
    s->plan = fn_columns_plan(p, c, c, dtype);
    s->plan.samples = m;
    s->columns = batchnorm_kernels(dtype);
    s->kernels = groupnorm_kernels(dtype);
    s->loader = fn_columns_loader_of(&s->plan, s->columns, source);
    s->loaded = fn_columns_loaded(source);
    s->samples = m;
    s->groups = groups;
    s->bytes = p * c * fn_stored_element_bytes(&s->loader);
    const ptrdiff_t real_bytes = p * c * s->plan.item_bytes; /* halves are cut as the floats that they stand for */
    /* with fewer rows, slabs would take more memory to work with than they have data */
    const ptrdiff_t enough = fn_min(m * real_bytes / FN_SLAB_BYTES, m * p / FN_SLAB_ROWS);
    const ptrdiff_t most = real_bytes >= FN_SAMPLE_BYTES ? 1 : fn_min(FN_MAX_SLABS, enough);
    s->slab_samples = fn_ceil_div(m, fn_max(1, most));
    s->slabs = fn_ceil_div(m, s->slab_samples);
    s->space = fn_round_up(fn_columns_bytes(&s->plan, spare_of(s)), FN_UNIT_BYTES);
    s->spaces = NULL;
    if (s->space <= FN_COLUMNS_LOCAL_BYTES) return 0;
    s->spaces = malloc((size_t)(s->slabs * s->space + FN_UNIT_BYTES));
    return s->spaces ? 0 : -1;
}

static void release(const sample_plan *s) { free(s->spaces); }

static void place(const sample_plan *s, ptrdiff_t slab, fn_columns_space *space)
{
    char *first = fn_aligned_up(s->spaces ? s->spaces : space->local);
    fn_columns_place(space, &s->plan, spare_of(s), first + (s->spaces ? slab * s->space : 0));
}

/* gamma or beta, or so many times what they stand for. */
static const void *parameter(const void *given, double value, const fn_columns *plan, double *spare)
{
    for (ptrdiff_t j = 0; !given && j < plan->c; j++) {
        if (plan->item_bytes == 8)
            spare[j] = value;
        else
            ((float *)spare)[j] = (float)value;
    }
    return given ? given : spare;
}

/* The arrays of groups in a space; four more follow. */
static fn_group_sums group_sums(const fn_columns_space *space, const fn_columns *plan)
{
    double *d = space->spare;
    return (fn_group_sums){d, d + plan->padded, d + 2 * plan->padded, d + 3 * plan->padded, d + 4 * plan->padded};
}

/* Each number of an array of groups for every column. */
static void to_columns(const sample_plan *s, const double *of_groups, double *of_columns)
{
    s->kernels->to_columns(of_groups, s->groups, s->plan.c / s->groups, of_columns);
}

/* ---- samples of few rows: each is a row, whose sums are those of its c columns ----------------------------------- */

typedef struct {
    const fn_groupnorm_fwd *fwd; /* or */
    const fn_groupnorm_bwd *bwd;
    const fn_groupnorm_kernels *kernels;
    fn_row_format format;
} few_task;

static fn_rows rows_of(ptrdiff_t m, ptrdiff_t p, ptrdiff_t c, fn_row_format format, ptrdiff_t arrays)
{
    const ptrdiff_t bytes = arrays * m * fn_stored_bytes(format);
    return (fn_rows){.m = m,
                     .format = format,
                     .bytes = bytes,
                     .work = bytes,
                     .group = fn_ceil_div(FN_SLAB_ROWS, p),
                     .columns = c,
                     .tiled = format.storage != FN_REAL};
}

static void few_fwd_tile(const void *arg, const fn_tile *t)
{
    const few_task *task = arg;
    fn_groupnorm_fwd op = *task->fwd;
    void *space = fn_tile_space(t, 0);
    op.x = fn_tile_load(t, task->format, op.x, space);
    op.y = fn_tile_place(t, task->format, op.y, space);
    op.stream = t->stream && op.y != space;
    op.fetch = op.y != space && op.m * fn_row_bytes(task->format) >= FN_FETCH_BYTES;
    if (op.mean) op.mean += t->begin * op.groups;
    if (op.rstd) op.rstd += t->begin * op.groups;
    task->kernels->few_forward(&op, 0, t->rows);
    fn_tile_store(t, task->format, op.y, task->fwd->y);
}

static int few_rows(const fn_groupnorm_fwd *op, fn_dtype dtype)
{
    const few_task task = {
        .fwd = op, .kernels = groupnorm_kernels(dtype), .format = {op->p * op->c, dtype, op->storage}};
    fn_rows rows = rows_of(op->m, op->p, op->c, task.format, 2);
    rows.stream = fn_rows_stream(&rows, 1, op->y, op->x, NULL);
    rows.spaces = rows.tiled ? 1 : 0;
    return fn_rows_forward(&rows, few_fwd_tile, &task);
}

static void few_bwd_tile(const void *arg, const fn_tile *t, const fn_row_sum *sums)
{
    const few_task *task = arg;
    const fn_column_sums total = {sums[0].hi, sums[0].lo, sums[1].hi, sums[1].lo};
    fn_groupnorm_bwd op = *task->bwd;
    op.dy = fn_tile_load(t, task->format, op.dy, fn_tile_space(t, 0));
    op.x = fn_tile_load(t, task->format, op.x, fn_tile_space(t, 1));
    op.dx = fn_tile_place(t, task->format, op.dx, fn_tile_space(t, 0));
    op.stream = t->stream && op.dx != fn_tile_space(t, 0);
    op.fetch = op.dx != fn_tile_space(t, 0) && op.m * fn_row_bytes(task->format) >= FN_FETCH_BYTES;
    op.mean += t->begin * op.groups;
    op.rstd += t->begin * op.groups;
    task->kernels->few_backward(&op, 0, t->rows, &total);
    fn_tile_store(t, task->format, op.dx, task->bwd->dx);
}

static int few_rows_backward(const fn_groupnorm_bwd *op, fn_dtype dtype)
{
    const few_task task = {
        .bwd = op, .kernels = groupnorm_kernels(dtype), .format = {op->p * op->c, dtype, op->storage}};
    fn_rows rows = rows_of(op->m, op->p, op->c, task.format, 3);
    rows.stream = fn_rows_stream(&rows, 1, op->dx, op->x, op->dy);
    rows.spaces = rows.tiled ? 2 : 0;
    return fn_rows_backward(&rows, few_bwd_tile, &task, 2, (void *const[]){op->dgamma, op->dbeta});
}

/* ---- forward ----------------------------------------------------------------------------------------------------- */

typedef struct {
    const fn_groupnorm_fwd *op;
    sample_plan s;
} fwd_task;

static char *loaded_rows(const fn_columns_space *space, const fn_columns *plan)
{
    return (char *)(space->spare + SPARE * plan->padded);
}

static void sum_rows(const fwd_task *t, const char *x, const fn_columns_space *space, const fn_group_sums *groups)
{
    const fn_columns *plan = &t->s.plan;
    if (t->s.loaded)
        fn_columns_pivots(&t->s.loader, x, plan->m, loaded_rows(space, plan), space->k.center);
    else
        t->s.columns->pivots(x, plan->m, plan->c, plan->c, space->k.center);
    fn_columns_repeat(space->k.center, plan, plan->item_bytes);
    const fn_columns_data data = {.x = x, .pivot = space->k.center, .source = t->s.loader.source};
    fn_columns_sum(plan, t->s.columns, &data, &space->sums, space->waiting);
    const fn_batchnorm_fwd columns = {.m = plan->m,
                                      .c = plan->c,
                                      .stride = plan->c,
                                      .x = x,
                                      .eps = t->op->eps,
                                      .first = t->s.loader.source.first,
                                      .value = t->s.loader.source.storage != FN_REAL ? fn_columns_value : NULL,
                                      .loader = &t->s.loader};
    t->s.columns->column_moments(&columns, &space->sums, space->k.center);
    t->s.kernels->merge_moments(t->op, &space->sums, space->k.center, groups);
}

static void fwd_sample(const fwd_task *t, ptrdiff_t i, fn_columns_space *space)
{
    const fn_groupnorm_fwd *op = t->op;
    const fn_columns *plan = &t->s.plan;
    const fn_group_sums groups = group_sums(space, plan);
    double *of_columns = space->spare + 5 * plan->padded;
    double *mean = op->mean ? op->mean + i * op->groups : of_columns;
    double *rstd = op->rstd ? op->rstd + i * op->groups : groups.rstd;
    const char *x = (const char *)op->x + i * t->s.bytes;
    sum_rows(t, x, space, &groups);
    t->s.kernels->fwd_coefficients(op, &groups, mean, rstd, &space->sums, &space->k);
    fn_wide_columns wide = {t->s.columns, plan->m, plan->c, plan->item_bytes, NULL, NULL, op->gamma,
                            op->beta,     NULL,    NULL};
    if (space->k.wide_count) {
        wide.mean = groups.s1; /* which are spent */
        wide.rstd = groups.s2;
        to_columns(&t->s, mean, groups.s1);
        to_columns(&t->s, rstd, groups.s2);
    }
    fn_columns_result y = {.kernels = t->s.columns,
                           .k = &space->k,
                           .x = x,
                           .out = (char *)op->y + i * t->s.bytes,
                           .loader = t->s.loaded ? &t->s.loader : NULL,
                           .apply_wide = fn_apply_wide,
                           .wide = &wide};
    fn_columns_apply(&y, plan);
}

static void fwd_range(void *arg, ptrdiff_t begin, ptrdiff_t end)
{
    const fwd_task *t = arg;
    const fn_groupnorm_fwd *given = t->op;
    fn_groupnorm_fwd op = *given;
    const fwd_task task = {&op, t->s};
    fn_columns_space space;
    for (ptrdiff_t slab = begin; slab < end; slab++) {
        const ptrdiff_t first = slab * t->s.slab_samples, last = fn_min(first + t->s.slab_samples, t->s.samples);
        place(&t->s, slab, &space);
        op.gamma = parameter(given->gamma, 1, &t->s.plan, space.spare + 7 * t->s.plan.padded);
        op.beta = parameter(given->beta, 0, &t->s.plan, space.spare + 8 * t->s.plan.padded);
        for (ptrdiff_t i = first; i < last; i++) fwd_sample(&task, i, &space);
    }
}

static int group_norm(const fn_groupnorm_fwd *op, fn_dtype dtype)
{
    const fn_fpenv saved = fn_fp_default();
    int status = 0;
    if (op->m == 0 || op->p == 0 || op->c == 0) {
        for (ptrdiff_t i = 0; op->mean && i < op->m * op->groups; i++) {
            op->mean[i] = 0;
            op->rstd[i] = 1 / sqrt(op->eps);
        }
    } else if (op->p < FN_SAMPLE_ROWS) {
        status = few_rows(op, dtype);
    } else {
        const fn_columns_source source = {.first = op->first, .storage = op->storage};
        fwd_task task = {.op = op};
        status = plan_samples(&task.s, op->m, op->p, op->c, op->groups, &source, dtype);
        if (status == 0) fn_share(fwd_range, &task, task.s.slabs, 2 * op->m * task.s.bytes);
        release(&task.s);
    }
    fn_fp_restore(saved);
    return status;
}

/* ---- backward ---------------------------------------------------------------------------------------------------- */

typedef struct {
    const fn_groupnorm_bwd *op;
    sample_plan s;
    ptrdiff_t padded; /* columns of a total */
    double *totals;   /* (slabs, 4, padded) */
    fn_waiting_slabs *waiting;
} bwd_task;

static fn_column_sums total_of(const bwd_task *t, ptrdiff_t slab)
{
    double *d = t->totals + 4 * slab * t->padded;
    return (fn_column_sums){d, d + t->padded, d + 2 * t->padded, d + 3 * t->padded};
}

static void add_slab(const void *context, ptrdiff_t to, ptrdiff_t from)
{
    const bwd_task *t = context;
    const fn_column_sums a = total_of(t, to), b = total_of(t, from);
    const int exact = t->s.plan.item_bytes == 8;
    fn_add_sums(a.a, a.a_lo, b.a, b.a_lo, t->op->c, exact);
    fn_add_sums(a.b, a.b_lo, b.b, b.b_lo, t->op->c, exact);
}

typedef struct {
    const bwd_task *task;
    const double *mean, *rstd; /* of the sample */
    const fn_group_sums *groups;
} wide_groups;

static void apply_wide(const void *wide, const char *dy, const char *x, char *out, ptrdiff_t rows, ptrdiff_t stride,
                       ptrdiff_t j)
{
    const wide_groups *w = wide;
    const fn_groupnorm_bwd *op = w->task->op;
    const ptrdiff_t g = j / (op->c / op->groups);
    const double gamma = op->gamma ? fn_value_at(op->gamma, j, w->task->s.plan.item_bytes) : 1;
    const fn_wide_group_bwd k = {w->mean[g], gamma * w->rstd[g], w->groups->s1[g], w->groups->s2[g]};
    w->task->s.kernels->bwd_apply_wide(dy, x, out, rows, stride, &k);
}

static void bwd_sample(const bwd_task *t, ptrdiff_t i, fn_columns_space *space, const fn_column_sums *total)
{
    const fn_groupnorm_bwd *op = t->op;
    const fn_columns *plan = &t->s.plan;
    const fn_group_sums groups = group_sums(space, plan);
    const double *mean = op->mean + i * op->groups, *rstd = op->rstd + i * op->groups;
    double *mean_of = space->spare + 5 * plan->padded, *rstd_of = mean_of + plan->padded;
    const char *x = (const char *)op->x + i * t->s.bytes, *dy = (const char *)op->dy + i * t->s.bytes;
    to_columns(&t->s, mean, mean_of);
    to_columns(&t->s, rstd, rstd_of);
    fn_columns_repeat(mean_of, plan, sizeof(double));
    const fn_columns_data data = {.x = x, .dy = dy, .mean = mean_of, .source = t->s.loader.source};
    fn_columns_sum(plan, t->s.columns, &data, &space->sums, space->waiting);
    t->s.kernels->bwd_coefficients(op, rstd, mean_of, rstd_of, &space->sums, &groups, total, &space->k);
    const wide_groups wide = {t, mean, rstd, &groups};
    fn_columns_result dx = {.kernels = t->s.columns,
                            .k = &space->k,
                            .x = x,
                            .dy = dy,
                            .out = (char *)op->dx + i * t->s.bytes,
                            .loader = t->s.loaded ? &t->s.loader : NULL,
                            .apply_wide = apply_wide,
                            .wide = &wide};
    fn_columns_apply(&dx, plan);
}

static void bwd_range(void *arg, ptrdiff_t begin, ptrdiff_t end)
{
    const bwd_task *t = arg;
    const fn_groupnorm_bwd *given = t->op;
    fn_groupnorm_bwd op = *given;
    bwd_task task = *t;
    fn_columns_space space;
    task.op = &op;
    for (ptrdiff_t slab = begin; slab < end; slab++) {
        const ptrdiff_t first = slab * t->s.slab_samples, last = fn_min(first + t->s.slab_samples, t->s.samples);
        const fn_column_sums total = total_of(t, slab);
        place(&t->s, slab, &space);
        memset(total.a, 0, (size_t)(4 * t->padded) * sizeof(double));
        op.gamma = parameter(given->gamma, 1, &t->s.plan, space.spare + 7 * t->s.plan.padded);
        for (ptrdiff_t i = first; i < last; i++) bwd_sample(&task, i, &space, &total);
        fn_slab_done(t->waiting, t->s.slabs, slab, add_slab, t);
    }
}

static int backward(bwd_task *t)
{
    fn_waiting_slabs waiting = 0;
    t->padded = fn_round_up(t->op->c, FN_UNIT_BYTES / (ptrdiff_t)sizeof(double));
    void *block = malloc((size_t)(4 * t->s.slabs * t->padded) * sizeof(double) + FN_UNIT_BYTES);
    if (!block) return -1;
    t->totals = fn_aligned_up(block);
    t->waiting = &waiting;
    fn_share(bwd_range, t, t->s.slabs, 3 * t->op->m * t->s.bytes);
    const fn_column_sums total = total_of(t, 0);
    t->s.kernels->gradients(t->op, &total);
    t->waiting = NULL; /* it ends here */
    free(block);
    return 0;
}

static int group_norm_backward(const fn_groupnorm_bwd *op, fn_dtype dtype)
{
    const fn_fpenv saved = fn_fp_default();
    const size_t gradient_bytes = (size_t)(op->c * fn_item_bytes(dtype));
    int status = 0;
    if (op->m == 0 || op->p == 0 || op->c == 0) {
        if (op->dgamma) memset(op->dgamma, 0, gradient_bytes);
        memset(op->dbeta, 0, gradient_bytes);
    } else if (op->p < FN_SAMPLE_ROWS) {
        status = few_rows_backward(op, dtype);
    } else {
        const fn_columns_source source = {.first = op->first, .storage = op->storage};
        bwd_task task = {.op = op};
        status = plan_samples(&task.s, op->m, op->p, op->c, op->groups, &source, dtype);
        if (status == 0) status = backward(&task);
        release(&task.s);
    }
    fn_fp_restore(saved);
    return status;
}

static int takes_channels_first(ptrdiff_t p, ptrdiff_t c, fn_dtype dtype)
{
    return p >= FN_SAMPLE_ROWS && fn_columns_takes_channels_first(p, c, dtype);
}

const fn_groupnorm_drivers fn_groupnorm = {takes_channels_first, group_norm, group_norm_backward};
