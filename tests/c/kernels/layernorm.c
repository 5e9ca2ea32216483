/* LayerNorm. */
#include "../../../csrc/layernorm.h"

#include "kernels.h"

static int layer_norm(const arguments *a, fn_activation activation)
{
    const fn_layernorm_fwd op = {.m = a->m,
                                 .n = a->n,
                                 .x = a->x,
                                 .gamma = a->gamma,
                                 .beta = a->beta,
                                 .eps = a->eps,
                                 .activation = activation,
                                 .y = rooms[OUT].at,
                                 .mean = rooms[OUT_MEAN].at,
                                 .rstd = rooms[OUT_RSTD].at};
    return fn_layernorm.forward(&op, a->dtype);
}

static int layer_norm_backward(const arguments *a, fn_activation activation)
{
    const fn_layernorm_bwd op = {.m = a->m,
                                 .n = a->n,
                                 .dy = a->dy,
                                 .x = a->x,
                                 .mean = a->mean,
                                 .rstd = a->rstd,
                                 .gamma = a->gamma,
                                 .beta = a->beta,
                                 .activation = activation,
                                 .dx = rooms[OUT].at,
                                 .dgamma = a->gamma ? rooms[OUT_DGAMMA].at : NULL,
                                 .dbeta = rooms[OUT_DBETA].at};
    return fn_layernorm.backward(&op, a->dtype);
}

static int run_layer_norm(const arguments *a) { return layer_norm(a, FN_NO_ACTIVATION); }
static int run_layer_norm_relu(const arguments *a) { return layer_norm(a, FN_RELU); }
static int run_layer_norm_silu(const arguments *a) { return layer_norm(a, FN_SILU); }
static int run_layer_norm_backward(const arguments *a) { return layer_norm_backward(a, FN_NO_ACTIVATION); }
static int run_layer_norm_relu_backward(const arguments *a) { return layer_norm_backward(a, FN_RELU); }
static int run_layer_norm_silu_backward(const arguments *a) { return layer_norm_backward(a, FN_SILU); }

#define FORWARD {{"y", OUT, 0}, {"mean", OUT_MEAN, 1}, {"rstd", OUT_RSTD, 1}}
#define BACKWARD {{"dx", OUT, 0}, {"dgamma", OUT_DGAMMA, 0}, {"dbeta", OUT_DBETA, 0}}

const operation layernorm_operations[] = {
    {"layer_norm", 1, 0, 0, run_layer_norm, FORWARD},
    {"layer_norm relu", 1, 0, 0, run_layer_norm_relu, FORWARD},
    {"layer_norm silu", 1, 0, 0, run_layer_norm_silu, FORWARD},
    {"layer_norm_backward", 1, 1, 1, run_layer_norm_backward, BACKWARD},
    {"layer_norm_backward relu", 1, 1, 1, run_layer_norm_relu_backward, BACKWARD},
    {"layer_norm_backward silu", 1, 1, 1, run_layer_norm_silu_backward, BACKWARD},
    {0},
};
