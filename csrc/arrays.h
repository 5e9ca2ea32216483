/* Lists of arrays that are taken as one, such as all weights of a network: how they are cut, and their sums.
 *
 * Every array is cut into strips of 1 KB, a part is 64 strips that follow each other in the list. So a part may hold
 * 64 small arrays or be a piece of a huge one, and threads share parts. Sizes and dtypes decide all of this. */
#ifndef FN_ARRAYS_H
#define FN_ARRAYS_H

#include "exact.h"
#include "fastnorm.h"
#include "half.h"
#include "tree.h"
#include "work.h"

typedef struct {
    const void *x; /* real or halves (n), n > 0 */
    void *y;       /* likewise, or NULL: what is written; may be x */
    ptrdiff_t n;
    ptrdiff_t strips; /* of the arrays before it: fn_plan_arrays sets it */
    fn_dtype dtype;
    fn_storage storage;
} fn_array;

typedef struct {
    const fn_array *arrays;
    ptrdiff_t count, strips, bytes; /* arrays, strips and bytes of all x together */
} fn_arrays;

/* What becomes of x and y: x is read; y is written, of x alone; y is updated. Times the bytes of x, that is the traffic. */
typedef enum { FN_READ = 1, FN_WRITE = 2, FN_UPDATE = 3 } fn_touch;

/* Elements of an array that follow each other, from a strip on; halves have become floats. */
typedef struct {
    const void *x; /* real (n), n > 0 */
    void *y;       /* real (n), may be x; NULL if it is not touched */
    ptrdiff_t n;
    fn_dtype dtype;
    int stream; /* write y past the cache */
} fn_piece;

/* A sum that is being formed: hi + lo of every lane. float64 use the first eight of them. */
typedef struct {
    double hi[FN_SUM_LANES], lo[FN_SUM_LANES];
} fn_lane_sums;

/* Works on a piece, and adds to `sums` if it forms any. */
typedef void (*fn_piece_fn)(const void *op, const fn_piece *piece, fn_lane_sums *sums);

fn_arrays fn_plan_arrays(fn_array *arrays, ptrdiff_t count);

void fn_for_arrays(const fn_arrays *list, fn_piece_fn fn, const void *op, fn_touch touch);

/* Room for the sums of all parts: fn_take_scratch gives it for `sums` sums at a time, 1 or 2, or returns -1. */
typedef struct {
    fn_pair few[8], *of_parts; /* few, which must stay where it is, or a block */
} fn_scratch;

int fn_take_scratch(fn_scratch *scratch, const fn_arrays *list, int sums);
void fn_give_scratch(fn_scratch *scratch);

/* fn_for_arrays of a fn that forms `sums` sums, which are left in total. */
void fn_sum_arrays(const fn_arrays *list, fn_piece_fn fn, const void *op, fn_touch touch, int sums, fn_scratch *scratch,
                   double *total);

/* The exponent of the power of two to multiply elements by before the sum of their powers (1: of their sizes; 2: of
 * their squares) is taken again, because it has left the range of double; 0 if the sum is good (Blue 1978). */
int fn_exponent_again(double sum, int power);

#endif
