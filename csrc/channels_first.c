#include "channels_first.h"

#include "activations.h"
#include "tree.h"
#include "work.h"

/* Runs of channels from j on that follow each other, or a part of one. They are alike: all plain, or one that is wide. */
typedef struct {
    ptrdiff_t first; /* bytes to their first element */
    ptrdiff_t runs, length, j;
} some_runs;

static int is_wide(const fn_columns_result *t, ptrdiff_t j) { return t->k->wide_count && t->k->wide[j]; }

/* Channels from j on, up to `end` at most, that are alike. */
static ptrdiff_t alike(const fn_columns_result *t, ptrdiff_t j, ptrdiff_t end)
{
    if (is_wide(t, j)) return j + 1;
    ptrdiff_t next = j + 1;
    while (next < end && !is_wide(t, next)) next++;
    return next;
}

/* dx, or z + residual; with a ReLU, but of a wide channel, max(z + residual, 0). */
static void normalize(const fn_columns_result *t, const some_runs *s, char *out, int relu, int stream)
{
    const fn_coefficients k = fn_coefficients_from(t->k, s->j * t->item_bytes);
    const char *dy = fn_moved(t->dy, s->first), *x = fn_moved(t->x, s->first),
               *residual = fn_moved(t->finish.residual, s->first);
    if (is_wide(t, s->j)) {
        t->apply_wide(t->wide, dy, x, out, s->length, 1, s->j);
        if (residual) fn_add_residual(residual, out, s->length, fn_columns_dtype(t));
    } else if (dy) {
        t->kernels->bwd_apply_runs(dy, x, out, s->runs, s->length, &k, stream);
    } else {
        t->kernels->apply_runs(x, residual, out, s->runs, s->length, &k, relu, stream);
    }
}

/* Whether the activation, if there is one, takes a step of its own. */
static int activated_after(const fn_columns_result *t, ptrdiff_t j)
{
    const fn_activation activation = t->finish.activation;
    return activation != FN_NO_ACTIVATION && (activation != FN_RELU || is_wide(t, j));
}

/* By way of the first-level cache. */
static void apply_piece(const fn_columns_result *t, const some_runs *s)
{
    _Alignas(FN_UNIT_BYTES) char tile[FN_PIECE_BYTES];
    const ptrdiff_t n = s->runs * s->length;
    char *out = t->out + s->first, *z = t->stream || t->out == t->finish.residual ? tile : out;
    normalize(t, s, z, t->finish.activation == FN_RELU, 0);
    if (activated_after(t, s->j))
        fn_activate_to(t->finish.activation, z, out, n, t->stream, NULL, fn_columns_dtype(t));
    else if (z == tile)
        t->kernels->put_rows(tile, out, 1, n, n, t->stream);
}

static void apply_by_pieces(const fn_columns_result *t, const some_runs *s)
{
    const ptrdiff_t most = FN_PIECE_BYTES / t->item_bytes, some = fn_min(s->length, most), runs = most / some;
    for (ptrdiff_t i = 0; i < s->runs; i += runs)
        for (ptrdiff_t j = 0; j < s->length; j += some) {
            const some_runs piece = {.first = s->first + (i * s->length + j) * t->item_bytes,
                                     .runs = fn_min(runs, s->runs - i),
                                     .length = fn_min(some, s->length - j),
                                     .j = s->j + i};
            apply_piece(t, &piece);
        }
}

static void apply(const fn_columns_result *t, const some_runs *s)
{
    const ptrdiff_t run_bytes = s->length * t->item_bytes;
    /* the ends of short runs, which fill no line, would break the streams: measured, twice the time */
    const int broken = t->stream && run_bytes < FN_PIECE_BYTES && run_bytes % FN_UNIT_BYTES;
    if (broken || activated_after(t, s->j) || (t->finish.residual && is_wide(t, s->j)))
        apply_by_pieces(t, s);
    else
        normalize(t, s, t->out + s->first, t->finish.activation == FN_RELU, t->stream);
}

/* Of t->rows runs, so many are a tile; there are t->cols channels. */
static void apply_range(void *arg, ptrdiff_t begin, ptrdiff_t end)
{
    const fn_columns_result *t = arg;
    const ptrdiff_t c = t->cols, length = t->loader->source.first.run;
    for (ptrdiff_t tile = begin; tile < end; tile++) {
        /* from the end to the front: the end is what the statistics left in the cache */
        const ptrdiff_t from = (t->tiles - 1 - tile) * t->tile_rows, to = fn_min(t->rows, from + t->tile_rows);
        for (ptrdiff_t i = from, next; i < to; i = next) {
            const ptrdiff_t j = i % c;
            next = i - j + alike(t, j, fn_min(c, j + to - i));
            const some_runs s = {.first = i * length * t->item_bytes, .runs = next - i, .length = length, .j = j};
            apply(t, &s);
        }
    }
    if (t->stream) t->kernels->fence();
}

void fn_apply_runs(fn_columns_result *t, const fn_columns *plan)
{
    const ptrdiff_t run = t->loader->source.first.run, run_bytes = run * t->item_bytes;
    const ptrdiff_t arrays = t->dy || t->finish.residual ? 3 : 2;
    t->rows = plan->m / run * plan->c;
    t->cols = plan->c;
    t->stream = t->stream && run_bytes >= FN_GATHER_STREAM_BYTES;
    t->tile_rows = fn_max(1, FN_TILE_BYTES / run_bytes);
    t->tiles = fn_ceil_div(t->rows, t->tile_rows);
    fn_share(apply_range, t, t->tiles, arrays * t->rows * run_bytes);
}
