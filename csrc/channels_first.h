/* Results in channels-first memory, of x, dy and a residual that lie as they do: every run has the coefficients of its channel, so
 * that nothing is gathered. */
#ifndef FN_CHANNELS_FIRST_H
#define FN_CHANNELS_FIRST_H

#include "columns_apply.h"

/* The whole array, as fn_columns_apply, which calls this, has it. dy is not the gradient of what follows. */
void fn_apply_runs(fn_columns_result *t, const fn_columns *plan);

#endif
