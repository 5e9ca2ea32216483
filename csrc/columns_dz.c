#include "columns_dz.h"

#include "dispatch.h"
#include "work.h"

FN_TABLES(batchnorm)

static void make_loaded_dz(const fn_columns_gradient *g, fn_columns_part *part, char *tile)
{
    _Alignas(FN_UNIT_BYTES) char r[FN_GATHER_BYTES];
    const void *residual = g->z.finish.residual;
    if (residual) fn_columns_load(g->loader, residual, part, g->z.stride, r, 0);
    const fn_columns_result z = fn_columns_of_tile(&g->z, part, residual ? r : NULL, NULL);
    fn_columns_dz(&z, part, tile, part->cols);
    if (g->dz) fn_columns_store(g->loader, tile, g->dz, part, g->z.stride, g->stream);
    part->dy = tile;
}

void fn_columns_make_dz(const void *context, fn_columns_part *part, char *tile)
{
    const fn_columns_gradient *g = context;
    if (g->loader) {
        make_loaded_dz(g, part, tile);
        return;
    }
    const fn_columns_result *z = &g->z;
    const ptrdiff_t in = (part->row * z->stride + part->column) * z->item_bytes;
    const int dense = part->cols == z->stride || part->rows == 1;
    const int there = g->dz && !g->stream && g->dz + in != part->dy && (dense || fn_columns_dz_by_rows(z));
    char *dz = there ? g->dz + in : tile; /* z lies there meanwhile */
    const ptrdiff_t stride = there ? z->stride : part->cols;
    if (g->fetch) fn_columns_fetch(z, part, z->finish.residual); /* the others the sums fetch */
    fn_columns_dz(z, part, dz, stride);
    if (g->dz && !there) z->kernels->put_rows(tile, g->dz + in, part->rows, part->cols, z->stride, g->stream);
    part->dy = dz;
    part->dy_stride = stride;
}

void fn_columns_prepare_dz(fn_columns_gradient *g, const fn_batchnorm_inference *z, double *rstd,
                           const fn_finish_bwd *finish, const fn_columns *plan, double *spare, double *scratch)
{
    const fn_batchnorm_kernels *kernels = batchnorm_kernels(plan->item_bytes == 4 ? FN_FLOAT32 : FN_FLOAT64);
    const ptrdiff_t padded = plan->padded, size = plan->item_bytes;
    g->k = (fn_coefficients){
        spare, spare + padded, spare + 2 * padded, spare + 2 * padded, (unsigned char *)(spare + 3 * padded), 0};
    kernels->inference_coefficients(z, rstd, scratch, &g->k);
    fn_columns_repeat(g->k.center, plan, size);
    fn_columns_repeat(g->k.scale, plan, size);
    fn_columns_repeat(g->k.offset, plan, size);
    if (g->k.wide_count) fn_columns_repeat(g->k.wide, plan, 1);
    g->wide = (fn_wide_columns){.kernels = kernels,
                                .m = z->m,
                                .c = z->c,
                                .item_bytes = size,
                                .mean = z->running_mean,
                                .rstd = rstd,
                                .gamma = z->gamma,
                                .beta = z->beta};
    g->z = (fn_columns_result){.kernels = kernels,
                               .k = &g->k,
                               .x = z->x,
                               .finish = finish->of,
                               .apply_wide = fn_apply_wide,
                               .wide = &g->wide,
                               .stride = plan->stride,
                               .item_bytes = size};
    g->dz = finish->dresidual;
    g->loader = NULL;
    const ptrdiff_t bytes = plan->m * plan->stride / plan->fold * size;
    g->fetch = 4 * bytes >= FN_STREAM_BYTES;
    g->stream = 5 * bytes / 2 >= FN_STREAM_BYTES; /* it is read again: a cache may still have it */
}

fn_relu_gradient fn_columns_relu_gradient(const fn_columns_gradient *g, const void *dy)
{
    return (fn_relu_gradient){.dy = dy,
                              .x = g->z.x,
                              .residual = g->z.finish.residual,
                              .z = &g->k,
                              .dz = g->dz,
                              .fetch = g->fetch,
                              .stream = g->stream && g->dz};
}
