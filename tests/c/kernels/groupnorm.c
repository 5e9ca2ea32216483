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
    {"instance_norm", 0, 0, 0, run_instance_norm, {{"y", OUT, 0}, {"mean", OUT_MEAN, 1}, {"rstd", OUT_RSTD, 1}}},
    {"instance_norm_backward",
     0,
     1,
     1,
     run_instance_norm_backward,
     {{"dx", OUT, 0}, {"dgamma", OUT_DGAMMA, 0}, {"dbeta", OUT_DBETA, 0}}},
    {0},
};
