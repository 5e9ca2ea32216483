/* The C contract of fastnorm that all families share. Each has a header of its own, layernorm.h for one: what its kernels
 * and drivers compute, on which shapes, and what may alias what.
 *
 * Words: m rows; n normalized length of a row (LayerNorm); c channels (BatchNorm); x input, y output; dy, dx, dgamma,
 * dbeta gradients; mean and rstd = 1/sqrt(var + eps) statistics, always double; m2 the sum of squared deviations.
 * "real" is the dtype of the arrays: float or double. Arrays are C-contiguous and aligned to their element.
 *
 * Every output that has the shape of an input may be that very input (in place). No other overlap is allowed.
 *
 * A family has two tables. Kernels work on ranges of rows and columns; there is a table of them for each ISA and dtype.
 * Drivers are whole operations, cut into such ranges. How an operation is cut depends on its shape alone, never on the
 * number of threads: that is what makes its bits the same for every number. A driver runs in the default floating-point
 * environment and gives the caller's back. It returns 0, or -1 if scratch memory cannot be had, and then nothing has been
 * written.
 */
#ifndef FN_FASTNORM_H
#define FN_FASTNORM_H

#include <stddef.h>
#include <stdint.h>

static inline ptrdiff_t fn_min(ptrdiff_t a, ptrdiff_t b) { return a < b ? a : b; }
static inline ptrdiff_t fn_max(ptrdiff_t a, ptrdiff_t b) { return a > b ? a : b; }

typedef enum { FN_FLOAT32 = 0, FN_FLOAT64 = 1, FN_DTYPES = 2 } fn_dtype;

#endif
