/* RMSNorm. */
#include "../../../csrc/rmsnorm.h"

#include "kernels.h"

static int run_rms_norm(const arguments *a)
{
    const fn_rmsnorm_fwd op = {.m = a->m,
                               .n = a->n,
                               .x = a->x,
                               .gamma = a->gamma,
                               .offset = a->gamma ? 0.5 : 0,
                               .eps = a->eps,
                               .y = rooms[OUT].at,
                               .rstd = rooms[OUT_RSTD].at};
    return fn_rmsnorm.forward(&op, a->dtype);
}

static int run_rms_norm_backward(const arguments *a)
{
    const fn_rmsnorm_bwd op = {.m = a->m,
                               .n = a->n,
                               .dy = a->dy,
                               .x = a->x,
                               .rstd = a->rstd,
                               .gamma = a->gamma,
                               .dx = rooms[OUT].at,
                               .dgamma = a->gamma ? rooms[OUT_DGAMMA].at : NULL};
    return fn_rmsnorm.backward(&op, a->dtype);
}

const operation rmsnorm_operations[] = {
    {"rms_norm", 1, 0, 0, run_rms_norm, {{"y", OUT, 0}, {"rstd", OUT_RSTD, 1}}},
    {"rms_norm_backward", 1, 1, 1, run_rms_norm_backward, {{"dx", OUT, 0}, {"dgamma", OUT_DGAMMA, 0}}},
    {0},
};
