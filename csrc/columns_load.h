/* Arrays that kernels cannot take as they lie: tiles of them are loaded, and results stored. */
#ifndef FN_COLUMNS_LOAD_H
#define FN_COLUMNS_LOAD_H

#include "columns.h"

typedef struct {
    const fn_batchnorm_kernels *kernels;
    fn_columns_source source;
    ptrdiff_t c, item_bytes; /* of a real, which tiles consist of */
} fn_columns_loader;

int fn_columns_loaded(const fn_columns_source *source);
fn_columns_loader fn_columns_loader_of(const fn_columns *plan, const fn_batchnorm_kernels *kernels,
                                       const fn_columns_source *source);
ptrdiff_t fn_stored_element_bytes(const fn_columns_loader *l);

/* A part of an array whose rows, perhaps folded ones, have `stride` elements, and a dense tile; of a folded array in
 * channels-first memory, whole rows. ahead: as kernels take it. */
void fn_columns_load(const fn_columns_loader *l, const void *array, const fn_columns_part *part, ptrdiff_t stride,
                     char *tile, ptrdiff_t ahead);
void fn_columns_store(const fn_columns_loader *l, const char *tile, void *array, const fn_columns_part *part,
                      ptrdiff_t stride, int stream);

/* The same of y or dx, which may lie in channels-first memory. Whoever streams fences. */
void fn_columns_store_result(const fn_columns_loader *l, const char *tile, void *array, const fn_columns_part *part,
                             ptrdiff_t stride, int stream);

/* Element j of row i; loader is an fn_columns_loader. */
double fn_columns_value(const void *loader, const void *array, ptrdiff_t i, ptrdiff_t j);

/* The pivots of an array of m rows, those of its sampled rows; samples has room for FN_COLUMN_SAMPLES rows. */
void fn_columns_pivots(const fn_columns_loader *l, const void *array, ptrdiff_t m, char *samples, void *pivots);

#endif
