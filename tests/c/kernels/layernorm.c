/* LayerNorm. */
#include "../../../csrc/layernorm.h"

#include "kernels.h"

static int run_layer_norm(const arguments *a)
{
    const fn_layernorm_fwd op = {.m = a->m,
                                 .n = a->n,
                                 .x = a->x,
                                 .gamma = a->gamma,
                                 .beta = a->beta,
                                 .eps = a->eps,
                                 .y = rooms[OUT].at,
                                 .mean = rooms[OUT_MEAN].at,
                                 .rstd = rooms[OUT_RSTD].at};
    return fn_layernorm.forward(&op, a->dtype);
}

static int run_layer_norm_backward(const arguments *a)
{
    const fn_layernorm_bwd op = {.m = a->m,
                                 .n = a->n,
                                 .dy = a->dy,
                                 .x = a->x,
                                 .mean = a->mean,
                                 .rstd = a->rstd,
                                 .gamma = a->gamma,
                                 .dx = rooms[OUT].at,
                                 .dgamma = a->gamma ? rooms[OUT_DGAMMA].at : NULL,
                                 .dbeta = rooms[OUT_DBETA].at};
    return fn_layernorm.backward(&op, a->dtype);
}

const operation layernorm_operations[] = {
    {"layer_norm", 1, 0, 0, run_layer_norm, {{"y", OUT, 0}, {"mean", OUT_MEAN, 1}, {"rstd", OUT_RSTD, 1}}},
    {"layer_norm_backward",
     1,
     1,
     1,
     run_layer_norm_backward,
     {{"dx", OUT, 0}, {"dgamma", OUT_DGAMMA, 0}, {"dbeta", OUT_DBETA, 0}}},
    {0},
};
