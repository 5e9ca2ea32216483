/* What the files of check_kernels share: random data, arrays at places that must not be left, and the table of
 * operations. A family a file; main.c runs them with every table of kernels. */
#ifndef FN_CHECK_KERNELS_H
#define FN_CHECK_KERNELS_H

#define _DEFAULT_SOURCE 1

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../../csrc/fastnorm.h"

#define COUNT_OF(array) ((int)(sizeof(array) / sizeof *(array)))

/* ---- random numbers and data: the same on every machine, so nothing of a mathematical library ------------------- */

typedef enum {
    PLAIN,
    HUGE_MEAN,
    HUGER_MEAN,
    CONSTANT,
    CONSTANT_ROWS,
    CONSTANT_COLUMNS,
    ZEROS,
    INTEGERS,
    OUTLIERS,
    CAUCHY,
    SCALES,
    SMALL,
    TINY,
    LARGE,
    OVERFLOWING,
    SPECIAL,
    MOSTLY_NAN,
    MIXED_ROWS,
    MIXED_COLUMNS,
    KINDS
} data_kind;

extern const char *const kind_names[KINDS];

uint64_t random_bits(void);
int below(int n);
double uniform(void);
double draw(data_kind kind, fn_dtype dtype, ptrdiff_t row, ptrdiff_t column);

/* ---- memory ------------------------------------------------------------------------------------------------------ */

/* OUT may hold an argument, too; OUT_Y and OUT_SUM never do. */
enum { X, DY, GAMMA, BETA, MEAN, RSTD, OUT, OUT_Y, OUT_SUM, OUT_MEAN, OUT_RSTD, OUT_M2, OUT_DGAMMA, OUT_DBETA, ROOMS };

enum { MOST_BYTES = 1 << 22 };

typedef struct {
    void *at;
    size_t bytes;
    void *block;           /* of malloc, or NULL */
    unsigned char *canary; /* just before an array in the arena */
} room;

extern room rooms[ROOMS];
extern int in_arenas; /* where the arrays of the case in hand are */

_Noreturn void give_up(const char *what);
void make_arenas(int guarded);
void *make_room(int i, ptrdiff_t items, size_t item_bytes);
int canaries_alive(void);
void clear_room(int i);
void clear_rooms(void);

/* ---- operations -------------------------------------------------------------------------------------------------- */

/* Arguments of any of the operations. */
typedef struct {
    fn_dtype dtype;
    ptrdiff_t m, n; /* n stands for c, too */
    const void *x, *dy, *gamma, *beta;
    const double *mean, *rstd; /* (m) or (n), given */
    double eps, slope;
} arguments;

typedef struct {
    const char *name;
    int room;
    int is_double;
} output;

typedef struct {
    const char *name;
    int rows; /* statistics are per row, not per column */
    int backward;
    int given; /* takes statistics */
    int (*run)(const arguments *a);
    const output outputs[4];
} operation;

/* The operations of a family; the last one has no name. */
extern const operation layernorm_operations[], batchnorm_operations[], rmsnorm_operations[], groupnorm_operations[],
    addnorm_operations[], dropout_operations[], penalties_operations[], clipping_operations[], half_operations[];

/* ---- main.c ------------------------------------------------------------------------------------------------------ */

extern long cases;

/* Runs an operation with every table and in every place; the fresh baseline result is what the others are held to. Its
 * arguments and its results have rooms by then. */
void check_operation(const operation *o, const arguments *given, const char *description);
void hash_output(const room *r, int is_double);

/* ---- activations.c: on data of their own ------------------------------------------------------------------------- */

void check_activations(fn_dtype dtype);

#endif
