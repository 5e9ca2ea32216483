#include "columns_apply.h"

#include <string.h>

#include "addnorm.h"
#include "channels_first.h"
#include "compiler.h"
#include "dispatch.h"
#include "tree.h"
#include "work.h"

FN_TABLES(addnorm)

static void repeat_coefficients(const fn_coefficients *k, const fn_columns *plan)
{
    fn_columns_repeat(k->center, plan, plan->item_bytes);
    fn_columns_repeat(k->scale, plan, plan->item_bytes);
    fn_columns_repeat(k->offset, plan, plan->item_bytes);
    fn_columns_repeat(k->slope, plan, plan->item_bytes);
}

static double parameter(const void *array, ptrdiff_t j, ptrdiff_t item_bytes, double otherwise)
{
    return array ? fn_value_at(array, j, item_bytes) : otherwise;
}

void fn_apply_wide(const void *wide, const char *dy, const char *x, char *out, ptrdiff_t rows, ptrdiff_t stride,
                   ptrdiff_t column)
{
    const fn_wide_columns *w = wide;
    const ptrdiff_t j = column % w->c;
    const double gamma = parameter(w->gamma, j, w->item_bytes, 1), inv = 1 / (double)w->m;
    if (w->factor) {
        w->kernels->scale_wide(dy, out, rows, stride, w->factor[j]);
    } else if (dy) {
        const fn_wide_bwd k = {w->mean[j], w->rstd[j], gamma * w->rstd[j], w->sums->b[j] * inv,
                               w->rstd[j] * (w->sums->a[j] * inv)};
        w->kernels->bwd_apply_wide(dy, x, out, rows, stride, &k);
    } else {
        w->kernels->apply_wide(x, out, rows, stride, w->mean[j], w->rstd[j], gamma,
                               parameter(w->beta, j, w->item_bytes, 0));
    }
}

/* ---- the normalization ------------------------------------------------------------------------------------------- */

fn_coefficients fn_coefficients_from(const fn_coefficients *k, ptrdiff_t bytes)
{
    return (fn_coefficients){(char *)k->center + bytes,
                             (char *)k->scale + bytes,
                             (char *)k->offset + bytes,
                             (char *)k->slope + bytes,
                             NULL,
                             0};
}

/* Rows of the columns from j on, of which dy, x and out are the first elements. */
static void apply_columns(const fn_columns_result *t, const char *dy, const char *x, char *out, ptrdiff_t rows,
                          ptrdiff_t j, ptrdiff_t cols, int stream)
{
    const fn_coefficients k = fn_coefficients_from(t->k, j * t->item_bytes);
    const fn_batchnorm_kernels *kernels = t->kernels;
    if (t->scale)
        (stream ? kernels->scale_stream : kernels->scale)(dy, out, rows, t->stride, cols, &k);
    else if (dy)
        (stream ? kernels->bwd_apply_stream : kernels->bwd_apply)(dy, x, out, rows, t->stride, cols, &k);
    else
        (stream ? kernels->apply_stream : kernels->apply)(x, out, rows, t->stride, cols, &k);
}

/* The same: runs of plain columns and single wide ones, in turn. */
static void apply_mixed_columns(const fn_columns_result *t, const char *dy, const char *x, char *out, ptrdiff_t rows,
                                ptrdiff_t first, ptrdiff_t cols, int stream)
{
    for (ptrdiff_t j = first, end = first + cols, next; j < end; j = next) {
        const ptrdiff_t at = (j - first) * t->item_bytes;
        for (next = j; next < end && !t->k->wide[next];) next++;
        if (next > j)
            apply_columns(t, fn_moved(dy, at), fn_moved(x, at), out + at, rows, j, next - j, stream);
        else
            t->apply_wide(t->wide, fn_moved(dy, at), fn_moved(x, at), out + at, rows, t->stride, next++);
    }
}

static void normalize(const fn_columns_result *t, const char *dy, const char *x, char *out, ptrdiff_t rows, ptrdiff_t j,
                      ptrdiff_t cols, int stream)
{
    if (t->k->wide_count)
        apply_mixed_columns(t, dy, x, out, rows, j, cols, stream);
    else
        apply_columns(t, dy, x, out, rows, j, cols, stream);
}

static ptrdiff_t place(const fn_columns_result *t, ptrdiff_t row, ptrdiff_t column)
{
    return ((row - t->row) * t->stride + column - t->column) * t->item_bytes;
}

/* ---- what follows it --------------------------------------------------------------------------------------------- */

fn_dtype fn_columns_dtype(const fn_columns_result *t) { return t->item_bytes == 4 ? FN_FLOAT32 : FN_FLOAT64; }

void fn_add_residual(const void *residual, void *z, ptrdiff_t n, fn_dtype dtype)
{
    const fn_addnorm_bwd add = {.dsum = residual, .dresidual = z};
    addnorm_kernels(dtype)->backward(&add, 0, n);
}

/* Rows of a tile that are taken at a time: those that follow each other. */
static ptrdiff_t some_of(const fn_columns_result *t, const fn_columns_part *part)
{
    return part->cols == t->stride ? part->rows : 1;
}

/* z + residual, and the gradient of z: dense tiles, part->cols elements a row. */
static void z_tile(const fn_columns_result *t, const fn_columns_part *part, char *tile)
{
    const ptrdiff_t some = some_of(t, part), n = some * part->cols;
    for (ptrdiff_t i = 0; i < part->rows; i += some, tile += n * t->item_bytes) {
        const ptrdiff_t in = place(t, part->row + i, part->column);
        normalize(t, NULL, t->x + in, tile, some, part->column, part->cols, 0);
        if (t->finish.residual) fn_add_residual((const char *)t->finish.residual + in, tile, n, fn_columns_dtype(t));
    }
}

int fn_columns_dz_by_rows(const fn_columns_result *z) { return z->finish.activation == FN_RELU && !z->k->wide_count; }

void fn_columns_dz(const fn_columns_result *z, const fn_columns_part *part, char *dz, ptrdiff_t dz_stride)
{
    const fn_activation activation = z->finish.activation;
    const ptrdiff_t some = some_of(z, part), n = some * part->cols, size = z->item_bytes;
    if (fn_columns_dz_by_rows(z)) {
        const fn_coefficients k = fn_coefficients_from(z->k, part->column * size);
        const ptrdiff_t in = place(z, part->row, part->column);
        z->kernels->relu_gradient(part->dy, part->dy_stride, z->x + in, fn_moved(z->finish.residual, in), z->stride, dz,
                                  dz_stride, part->rows, part->cols, &k);
        return;
    }
    if (activation != FN_NO_ACTIVATION) z_tile(z, part, dz);
    for (ptrdiff_t i = 0; i < part->rows; i += some, dz += n * size)
        fn_activate_backward(activation, part->dy + i * part->dy_stride * size, dz, dz, n, fn_columns_dtype(z));
}

/* What an array has below this part, if it goes on. */
static const void *below(const fn_columns_result *t, const fn_columns_part *part, const char *array)
{
    return (const void *)((uintptr_t)array + (uintptr_t)place(t, part->row + part->rows, part->column));
}

void fn_columns_fetch(const fn_columns_result *t, const fn_columns_part *part, const char *array)
{
    const uintptr_t bytes = (uintptr_t)(part->cols * t->item_bytes);
    for (ptrdiff_t i = 0; array && i < part->rows; i++) {
        const uintptr_t row = (uintptr_t)below(t, part, array) + (uintptr_t)(i * t->stride * t->item_bytes);
        for (uintptr_t at = 0; at < bytes; at += FN_UNIT_BYTES) FN_PREFETCH(row + at);
    }
}

/* A piece is contiguous and stays in the first-level cache. */
static void finish_piece(const fn_columns_result *t, const fn_columns_part *piece)
{
    _Alignas(FN_UNIT_BYTES) char tile[FN_PIECE_BYTES];
    const ptrdiff_t n = piece->rows * piece->cols;
    const fn_activation activation = t->finish.activation;
    char *out = t->out + place(t, piece->row, piece->column),
         *z = t->stream || t->out == t->finish.residual ? tile : out;
    z_tile(t, piece, z);
    if (activation != FN_NO_ACTIVATION)
        fn_activate_to(activation, z, out, n, t->stream, below(t, piece, t->x), fn_columns_dtype(t));
    else if (z == tile)
        t->kernels->put_rows(tile, out, 1, n, n, t->stream);
}

static void dx_piece(const fn_columns_result *t, const fn_columns_part *piece)
{
    _Alignas(FN_UNIT_BYTES) char dz[FN_PIECE_BYTES];
    const ptrdiff_t in = place(t, piece->row, piece->column);
    fn_columns_part part = *piece;
    part.dy = t->dy + in;
    part.dy_stride = part.cols;
    fn_columns_dz(t->z, &part, dz, part.cols);
    normalize(t, dz, t->x + in, t->out + in, part.rows, part.column, part.cols, t->stream);
}

fn_columns_result fn_columns_of_tile(const fn_columns_result *t, const fn_columns_part *part, const char *residual,
                                     char *out)
{
    fn_columns_result tile = *t;
    tile.x = part->x;
    tile.dy = part->dy;
    tile.out = out;
    tile.finish.residual = residual;
    tile.z = NULL;
    tile.loader = NULL;
    tile.row = part->row;
    tile.column = part->column;
    tile.stride = part->cols;
    tile.stream = 0;
    return tile;
}

static void apply_tile(const fn_columns_result *t, ptrdiff_t row, ptrdiff_t rows, ptrdiff_t column, ptrdiff_t cols);

/* Whether arrays are channels-first memory, of which pieces are gathered: of some positions and channels, or whole rows of a
 * folded array. */
static int is_gathered(const fn_columns_result *t) { return t->loader && t->loader->source.first.run; }

/* Bytes of a piece of each array. Two of gathered arrays may be larger than the four of what follows them. */
static ptrdiff_t piece_bytes(const fn_columns_result *t)
{
    if (!is_gathered(t)) return FN_PIECE_BYTES;
    return t->z || t->finish.residual ? FN_GATHER_BYTES / 2 : FN_GATHER_BYTES;
}

static void loaded_piece(const fn_columns_result *t, const fn_columns_part *piece)
{
    _Alignas(FN_UNIT_BYTES) char tiles[2 * FN_GATHER_BYTES];
    const ptrdiff_t bytes = piece_bytes(t);
    const void *residual = t->z ? t->z->finish.residual : t->finish.residual;
    char *x = tiles, *dy = tiles + bytes, *r = residual ? tiles + 2 * bytes : NULL,
         *dz = t->z ? tiles + 3 * bytes : NULL;
    const ptrdiff_t ahead = t->fetch ? -piece->rows : 0; /* what is above is taken next */
    fn_columns_part part = *piece;
    fn_columns_load(t->loader, t->x, &part, t->stride, x, ahead);
    part.x = x;
    if (residual) fn_columns_load(t->loader, residual, &part, t->stride, r, ahead);
    if (t->dy) {
        fn_columns_load(t->loader, t->dy, &part, t->stride, dy, ahead);
        part.dy = dy;
        part.dy_stride = part.cols;
    }
    if (t->z) {
        const fn_columns_result z = fn_columns_of_tile(t->z, &part, r, NULL);
        fn_columns_dz(&z, &part, dz, part.cols);
        part.dy = dz;
        if (t->dz) fn_columns_store(t->loader, dz, t->dz, &part, t->stride, t->stream);
    }
    const fn_columns_result tile = fn_columns_of_tile(t, &part, t->finish.residual ? r : NULL, x);
    apply_tile(&tile, part.row, part.rows, part.column, part.cols);
    fn_columns_store_result(t->loader, x, t->out, &part, t->stride, t->stream);
}

static void apply_by_pieces(const fn_columns_result *t, ptrdiff_t row, ptrdiff_t rows, ptrdiff_t column, ptrdiff_t cols)
{
    const int gathered = is_gathered(t), folded = gathered && t->stride > t->loader->c;
    const ptrdiff_t most = piece_bytes(t) / t->item_bytes;
    const int whole = cols == t->stride && cols <= most;
    const ptrdiff_t some_cols = fn_min(cols, gathered && !folded ? most / FN_GATHER_ROWS : most);
    const ptrdiff_t some_rows = gathered || whole ? most / some_cols : 1;
    for (ptrdiff_t i = 0; i < rows; i += some_rows)
        for (ptrdiff_t j = 0; j < cols; j += some_cols) {
            const fn_columns_part piece = {.row = row + i,
                                           .rows = fn_min(some_rows, rows - i),
                                           .column = column + j,
                                           .cols = fn_min(some_cols, cols - j)};
            if (t->stream && !t->loader) {
                if (t->z || !fn_takes_long(t->finish.activation))
                    fn_columns_fetch(t, &piece, t->x); /* else meanwhile */
                fn_columns_fetch(t, &piece, t->dy ? t->dy : t->finish.residual);
            }
            if (t->loader)
                loaded_piece(t, &piece);
            else if (t->z)
                dx_piece(t, &piece);
            else
                finish_piece(t, &piece);
        }
    if (t->stream && (t->loader || !t->z)) t->kernels->fence();
}

/* ---- tiles ------------------------------------------------------------------------------------------------------- */

void fn_columns_apply_part(const fn_columns_result *t, const fn_columns_part *part)
{
    const ptrdiff_t some = part->dy_stride == t->stride ? part->rows : 1;
    for (ptrdiff_t i = 0; i < part->rows; i += some) {
        const ptrdiff_t in = place(t, part->row + i, part->column);
        normalize(t, part->dy + i * part->dy_stride * t->item_bytes, fn_moved(t->x, in), t->out + in, some,
                  part->column, part->cols, t->stream);
    }
}

/* Whether kernels can do what follows a plain column in registers. */
static int in_registers(const fn_columns_result *t)
{
    return !t->k->wide_count && (t->finish.activation == FN_NO_ACTIVATION || t->finish.activation == FN_RELU);
}

/* Likewise what a plain column follows, of which no residual is left here. */
static int behind_relu(const fn_columns_result *t)
{
    return t->z && fn_columns_dz_by_rows(t->z) && !t->k->wide_count && !t->z->finish.residual;
}

static void apply_tile(const fn_columns_result *t, ptrdiff_t row, ptrdiff_t rows, ptrdiff_t column, ptrdiff_t cols)
{
    const ptrdiff_t in = place(t, row, column);
    const fn_coefficients k = fn_coefficients_from(t->k, column * t->item_bytes);
    const int follows = t->finish.residual || t->finish.activation;
    if (!t->loader && follows && in_registers(t))
        t->kernels->apply_finish(t->x + in, fn_moved(t->finish.residual, in), t->out + in, rows, t->stride, cols, &k,
                                 t->finish.activation == FN_RELU, t->stream);
    else if (!t->loader && behind_relu(t)) {
        const fn_coefficients z = fn_coefficients_from(t->z->k, column * t->item_bytes);
        t->kernels->bwd_apply_relu(t->dy + in, t->x + in, t->out + in, rows, t->stride, cols, &k, &z, t->stream);
    } else if (t->loader || follows || t->z)
        apply_by_pieces(t, row, rows, column, cols);
    else
        normalize(t, fn_moved(t->dy, in), t->x + in, t->out + in, rows, column, cols, t->stream);
}

static void apply_range(void *arg, ptrdiff_t begin, ptrdiff_t end)
{
    const fn_columns_result *t = arg;
    for (ptrdiff_t i = begin; i < end; i++) {
        /* from the end to the front: the end is what the statistics left in the cache */
        const ptrdiff_t tile = t->tiles - 1 - i;
        const ptrdiff_t row = tile / t->tiles_across * t->tile_rows, column = tile % t->tiles_across * t->tile_cols;
        const ptrdiff_t rows = fn_min(t->tile_rows, t->rows - row), cols = fn_min(t->tile_cols, t->cols - column);
        apply_tile(t, row, rows, column, cols);
    }
}

/* Moves the first bytes of an array, less than a unit, to its end. */
static void rotate(void *array, ptrdiff_t first, ptrdiff_t bytes)
{
    char moved[FN_UNIT_BYTES];
    memcpy(moved, array, (size_t)first);
    memmove(array, (char *)array + first, (size_t)(bytes - first));
    memcpy((char *)array + bytes - first, moved, (size_t)first);
}

static void rotate_coefficients(const fn_coefficients *k, ptrdiff_t first, ptrdiff_t bytes)
{
    rotate(k->center, first, bytes);
    rotate(k->scale, first, bytes);
    rotate(k->offset, first, bytes);
    if (k->slope != k->offset) rotate(k->slope, first, bytes); /* what follows has none */
}

/* What is written may not begin on a cache line, as arrays of NumPy do not. Then every store of a unit is two, which takes
 * twice the time within the cache; and where it goes past it, each row has an end that does not fill a line, which breaks
 * the streams: measured, three times the time of rows of 128 bytes. So rows of whole lines begin at the first line instead,
 * with coefficients that are rotated, and a part of a row is left at either end. */
static void begin_aligned(fn_columns_result *t)
{
    const ptrdiff_t row_bytes = t->cols * t->item_bytes;
    const ptrdiff_t skipped = (ptrdiff_t)(-(uintptr_t)t->out % FN_UNIT_BYTES);
    if (!skipped || skipped % t->item_bytes || t->stride != t->cols || row_bytes % FN_UNIT_BYTES) return;
    if (t->rows * row_bytes < FN_ALIGN_BYTES) return;
    if (t->z && t->z->k->wide_count) return;
    const ptrdiff_t columns = skipped / t->item_bytes;
    apply_tile(t, 0, 1, 0, columns);
    apply_tile(t, t->rows - 1, 1, columns, t->cols - columns);
    rotate_coefficients(t->k, skipped, row_bytes);
    if (t->z) {
        rotate_coefficients(t->z->k, skipped, row_bytes);
        t->z->x += skipped;
    }
    t->x += skipped;
    t->out += skipped;
    t->dy = fn_moved(t->dy, skipped);
    t->finish.residual = fn_moved(t->finish.residual, skipped);
    t->rows--;
}

void fn_columns_apply(fn_columns_result *t, const fn_columns *plan)
{
    const int folded = !t->k->wide_count;
    if (folded) repeat_coefficients(t->k, plan);
    t->item_bytes = plan->item_bytes;
    t->rows = folded ? plan->rows : plan->m;
    t->cols = folded ? plan->cols : plan->c;
    t->stride = folded || plan->fold == 1 ? plan->stride : plan->c;
    if (t->z) t->z->stride = t->stride;
    const ptrdiff_t arrays = t->dy || t->finish.residual ? 3 : 2;
    const ptrdiff_t size = t->loader ? fn_stored_element_bytes(t->loader) : t->item_bytes;
    const ptrdiff_t bytes = arrays * t->rows * t->stride * size * plan->samples;
    const int gathered = is_gathered(t);
    t->stream = !(t->loader && t->loader->source.chosen) && bytes >= FN_STREAM_BYTES && t->out != t->x &&
                t->out != t->dy && t->out != t->finish.residual;
    if (gathered && t->loader->source.first.result_too && !t->z) {
        fn_apply_runs(t, plan);
        return;
    }
    t->stream = t->stream && (!gathered || plan->c * size >= FN_GATHER_STREAM_BYTES);
    t->fetch = gathered && bytes >= FN_FETCH_BYTES;
    /* rows that do not fill a folded row are its first columns */
    if (folded && plan->tail) apply_tile(t, plan->rows, 1, 0, plan->tail * plan->c);
    if (folded && !t->loader) begin_aligned(t);
    t->tile_cols = fn_min(t->cols, FN_TILE_COLUMN_BYTES / t->item_bytes);
    t->tiles_across = fn_ceil_div(t->cols, t->tile_cols);
    const ptrdiff_t tile_bytes = t->stream ? FN_STREAM_TILE_BYTES : FN_TILE_BYTES;
    t->tile_rows = fn_max(4, tile_bytes / (t->tile_cols * t->item_bytes) / 4 * 4); /* kernels take up to four rows */
    if (gathered) t->tile_rows = fn_max(FN_GATHER_ROWS, t->tile_rows);
    t->tiles = fn_ceil_div(t->rows, t->tile_rows) * t->tiles_across;
    fn_share(apply_range, t, t->tiles, arrays * t->rows * t->cols * size);
}
