/* How operations on rows go through memory: in tiles that are loaded, computed and stored while they are in the cache.
 * Loading takes rows where they lie if it can; else it copies those that are wanted, and widens them. Storing is the
 * reverse. In a backward, sums over the rows are taken slab by slab, and added by the tree of slabs.h. */
#ifndef FN_ROWS_H
#define FN_ROWS_H

#include "fastnorm.h"
#include "half.h"

/* Rows of n numbers: what they are computed in, and how they lie in memory. */
typedef struct {
    ptrdiff_t n;
    fn_dtype dtype;
    fn_storage storage;
} fn_row_format;

/* One double for each row. */
static const fn_row_format fn_row_statistic = {1, FN_FLOAT64, FN_REAL};

ptrdiff_t fn_row_bytes(fn_row_format format); /* computed in */
ptrdiff_t fn_stored_bytes(fn_row_format format);

typedef struct {
    ptrdiff_t begin, end;       /* rows of the arrays, */
    ptrdiff_t rows;             /* of which so many are taken: */
    const unsigned char *where; /* those where this is not 0, (m), or all if it is NULL */
    int stream;                 /* results go past the cache where kernels write them to the array */
    char *space;
    ptrdiff_t space_bytes;
    double *mean, *rstd; /* space for statistics */
} fn_tile;

/* Space for the tile's rows as they are computed with: number i of those that were asked for. */
static inline void *fn_tile_space(const fn_tile *t, int i) { return t->space ? t->space + i * t->space_bytes : NULL; }

/* The tile's rows one after the other: in the array, or copied to space. */
const void *fn_tile_load(const fn_tile *t, fn_row_format format, const void *array, void *space);

/* Where rows are written that fn_tile_store() then takes: the array if all is written that way, else space. */
void *fn_tile_place(const fn_tile *t, fn_row_format format, void *array, void *space);

/* Rows to their places in the array, those that are not taken 0. Nothing to do where they are in the array. */
void fn_tile_store(const fn_tile *t, fn_row_format format, const void *rows, void *array);

/* The same for `count` numbers of an array from number `at` on. */
const void *fn_row_numbers(fn_row_format format, const void *array, ptrdiff_t at, ptrdiff_t count, void *space);
void fn_row_put(fn_row_format format, const void *from, void *array, ptrdiff_t at, ptrdiff_t count);

/* What another family does with the rows of a normalization while they are in the cache. */
typedef struct {
    const void *(*load)(const void *arg, const fn_tile *t);     /* a forward: gives the rows of x */
    void (*after)(const void *arg, const fn_tile *t, void *dx); /* a backward: is given those of dx */
    const void *arg;
    ptrdiff_t bytes; /* of memory that all rows take beside what the normalization itself takes */
} fn_rows_hook;

/* How an operation is cut. */
typedef struct {
    ptrdiff_t m;
    fn_row_format format;
    const unsigned char *where; /* (m) or NULL */
    ptrdiff_t bytes;            /* of memory that are read and written, */
    ptrdiff_t work;             /* or that would be in the same time: what other threads are woken for */
    ptrdiff_t group;            /* rows that a kernel begins with are multiples of this, in a backward */
    ptrdiff_t columns;          /* numbers of a sum over rows, in a backward */
    int tiled;                  /* else kernels take as many rows at a time as there are */
    int spaces;                 /* arrays of a tile to work with: only where tiled */
    int stream;
} fn_rows;

/* Whether a result goes past the cache; whole_lines: kernels write lines of it that way even where rows are short. */
int fn_rows_stream(const fn_rows *rows, int whole_lines, const void *result, const void *x, const void *dy);

/* How many rows are taken. */
ptrdiff_t fn_rows_taken(const fn_rows *rows);

/* Runs tile() over all rows. -1 if there is no memory. */
int fn_rows_forward(const fn_rows *rows, void (*tile)(const void *op, const fn_tile *t), const void *op);

/* Sums over rows, one for each column, hi + lo: arrays with room for a unit that begins at the last. Those of float32 are
 * hi alone, and lo is not touched. */
typedef struct {
    double *hi, *lo;
} fn_row_sum;

/* Rows that a tile of a backward has, at most. */
ptrdiff_t fn_backward_tile_rows(const fn_rows *rows);

/* The same with `count` sums, which tile() adds to; they are rounded to out, NULL for those that nobody wants. */
typedef void fn_backward_tile(const void *op, const fn_tile *t, const fn_row_sum *sums);
int fn_rows_backward(const fn_rows *rows, fn_backward_tile *tile, const void *op, int count, void *const *out);

#endif
