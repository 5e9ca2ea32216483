/* GroupNorm and InstanceNorm. */
#include "../../../csrc/groupnorm.h"

#include "kernels.h"

/* Rows are samples of one position and one group, */
static int run_group_norm(const arguments *a)
{
    const fn_groupnorm_fwd op = {.m = a->m,
                                 .p = 1,
                                 .c = a->n,
                                 .groups = 1,
                                 .x = a->x,
                                 .gamma = a->gamma,
                                 .beta = a->beta,
                                 .eps = a->eps,
                                 .y = rooms[OUT].at,
                                 .mean = rooms[OUT_MEAN].at,
                                 .rstd = rooms[OUT_RSTD].at};
    return fn_groupnorm.forward(&op, a->dtype);
}

static int run_group_norm_backward(const arguments *a)
{
    const fn_groupnorm_bwd op = {.m = a->m,
                                 .p = 1,
                                 .c = a->n,
                                 .groups = 1,
                                 .dy = a->dy,
                                 .x = a->x,
                                 .mean = a->mean,
                                 .rstd = a->rstd,
                                 .gamma = a->gamma,
                                 .dx = rooms[OUT].at,
                                 .dgamma = a->gamma ? rooms[OUT_DGAMMA].at : NULL,
                                 .dbeta = rooms[OUT_DBETA].at};
    return fn_groupnorm.backward(&op, a->dtype);
}

/* or positions of samples of a few, with groups of any number of channels. Statistics are no outputs: there are more of them
 * than rooms are for. */
enum { MOST_GROUPS = MOST_BYTES / sizeof(float) };

static ptrdiff_t divisor(ptrdiff_t n, const int *of)
{
    while (n % *of) of++;
    return *of;
}

static fn_groupnorm_fwd some_groups(const arguments *a)
{
    static const int rows[] = {7, 6, 5, 4, 3, 2, 1}, columns[] = {24, 20, 16, 12, 9, 8, 5, 4, 3, 2, 1};
    const ptrdiff_t p = divisor(a->m, rows), k = divisor(a->n, columns);
    return (fn_groupnorm_fwd){.m = a->m / p,
                              .p = p,
                              .c = a->n,
                              .groups = a->n / k,
                              .x = a->x,
                              .gamma = a->gamma,
                              .beta = a->beta,
                              .eps = a->eps,
                              .y = rooms[OUT].at};
}

static int run_group_norm_of_samples(const arguments *a)
{
    const fn_groupnorm_fwd op = some_groups(a);
    return fn_groupnorm.forward(&op, a->dtype);
}

static int run_group_norm_of_samples_backward(const arguments *a)
{
    static double mean[MOST_GROUPS], rstd[MOST_GROUPS];
    const fn_groupnorm_fwd forward = some_groups(a);
    for (ptrdiff_t i = 0; i < forward.m * forward.groups; i++) {
        mean[i] = a->mean[i % a->m];
        rstd[i] = a->rstd[i % a->m];
    }
    const fn_groupnorm_bwd op = {.m = forward.m,
                                 .p = forward.p,
                                 .c = forward.c,
                                 .groups = forward.groups,
                                 .dy = a->dy,
                                 .x = a->x,
                                 .mean = mean,
                                 .rstd = rstd,
                                 .gamma = a->gamma,
                                 .dx = rooms[OUT].at,
                                 .dgamma = a->gamma ? rooms[OUT_DGAMMA].at : NULL,
                                 .dbeta = rooms[OUT_DBETA].at};
    return fn_groupnorm.backward(&op, a->dtype);
}

/* or positions of one sample. */
static int run_instance_norm(const arguments *a)
{
    const fn_groupnorm_fwd op = {.m = 1,
                                 .p = a->m,
                                 .c = a->n,
                                 .groups = a->n,
                                 .x = a->x,
                                 .gamma = a->gamma,
                                 .beta = a->beta,
                                 .eps = a->eps,
                                 .y = rooms[OUT].at,
                                 .mean = rooms[OUT_MEAN].at,
                                 .rstd = rooms[OUT_RSTD].at};
    return fn_groupnorm.forward(&op, a->dtype);
}

static int run_instance_norm_backward(const arguments *a)
{
    const fn_groupnorm_bwd op = {.m = 1,
                                 .p = a->m,
                                 .c = a->n,
                                 .groups = a->n,
                                 .dy = a->dy,
                                 .x = a->x,
                                 .mean = a->mean,
                                 .rstd = a->rstd,
                                 .gamma = a->gamma,
                                 .dx = rooms[OUT].at,
                                 .dgamma = a->gamma ? rooms[OUT_DGAMMA].at : NULL,
                                 .dbeta = rooms[OUT_DBETA].at};
    return fn_groupnorm.backward(&op, a->dtype);
}

const operation groupnorm_operations[] = {
    {"group_norm", 1, 0, 0, run_group_norm, {{"y", OUT, 0}, {"mean", OUT_MEAN, 1}, {"rstd", OUT_RSTD, 1}}},
    {"group_norm_backward",
     1,
     1,
     1,
     run_group_norm_backward,
     {{"dx", OUT, 0}, {"dgamma", OUT_DGAMMA, 0}, {"dbeta", OUT_DBETA, 0}}},
    {"group_norm of samples", 1, 0, 0, run_group_norm_of_samples, {{"y", OUT, 0}}},
    {"group_norm_backward of samples",
     1,
     1,
     1,
     run_group_norm_of_samples_backward,
     {{"dx", OUT, 0}, {"dgamma", OUT_DGAMMA, 0}, {"dbeta", OUT_DBETA, 0}}},
    {"instance_norm", 0, 0, 0, run_instance_norm, {{"y", OUT, 0}, {"mean", OUT_MEAN, 1}, {"rstd", OUT_RSTD, 1}}},
    {"instance_norm_backward",
     0,
     1,
     1,
     run_instance_norm_backward,
     {{"dx", OUT, 0}, {"dgamma", OUT_DGAMMA, 0}, {"dbeta", OUT_DBETA, 0}}},
    {0},
};
