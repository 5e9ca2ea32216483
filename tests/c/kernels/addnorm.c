/* Residual and normalization. dy is the residual; no result may lie over an argument, so none is in OUT. */
#include "../../../csrc/addnorm.h"

#include "drop.h"

static fn_addnorm_fwd add_of(const arguments *a, int dropped)
{
    return (fn_addnorm_fwd){.x = a->x,
                            .residual = a->dy,
                            .sum = rooms[OUT_SUM].at,
                            .dropped = dropped,
                            .scale = DROP_SCALE,
                            .key = drop_key(a)};
}

static int layer_norm(const arguments *a, int dropped)
{
    const fn_addnorm_fwd add = add_of(a, dropped);
    const fn_layernorm_fwd norm = {.m = a->m,
                                   .n = a->n,
                                   .x = add.sum,
                                   .gamma = a->gamma,
                                   .beta = a->beta,
                                   .eps = a->eps,
                                   .y = rooms[OUT_Y].at,
                                   .mean = rooms[OUT_MEAN].at,
                                   .rstd = rooms[OUT_RSTD].at};
    return fn_addnorm.add_layer_norm(&add, &norm, a->dtype);
}

static int rms_norm(const arguments *a, int dropped)
{
    const fn_addnorm_fwd add = add_of(a, dropped);
    const fn_rmsnorm_fwd norm = {.m = a->m,
                                 .n = a->n,
                                 .x = add.sum,
                                 .gamma = a->gamma,
                                 .offset = a->gamma ? 0.5 : 0,
                                 .eps = a->eps,
                                 .y = rooms[OUT_Y].at,
                                 .rstd = rooms[OUT_RSTD].at};
    return fn_addnorm.add_rms_norm(&add, &norm, a->dtype);
}

static int run_add_layer_norm(const arguments *a) { return layer_norm(a, 0); }
static int run_add_rms_norm(const arguments *a) { return rms_norm(a, 0); }
static int run_add_layer_norm_dropped(const arguments *a) { return layer_norm(a, 1); }
static int run_add_rms_norm_dropped(const arguments *a) { return rms_norm(a, 1); }

/* x is the sum, and where there is a beta the sum's other gradient, too. */
static const void *dsum_of(const arguments *a) { return a->beta ? a->x : NULL; }

static fn_addnorm_bwd add_bwd_of(const arguments *a, int dropped)
{
    return (fn_addnorm_bwd){.dresidual = rooms[OUT_SUM].at,
                            .dx = dropped ? rooms[OUT_Y].at : NULL,
                            .scale = DROP_SCALE,
                            .key = drop_key(a)};
}

static int layer_norm_backward(const arguments *a, int dropped)
{
    const fn_addnorm_bwd add = add_bwd_of(a, dropped);
    const fn_layernorm_bwd norm = {.m = a->m,
                                   .n = a->n,
                                   .dy = a->dy,
                                   .x = a->x,
                                   .mean = a->mean,
                                   .rstd = a->rstd,
                                   .gamma = a->gamma,
                                   .dx = add.dresidual,
                                   .dsum = dsum_of(a),
                                   .dgamma = a->gamma ? rooms[OUT_DGAMMA].at : NULL,
                                   .dbeta = rooms[OUT_DBETA].at};
    return fn_addnorm.add_layer_norm_backward(&add, &norm, a->dtype);
}

static int rms_norm_backward(const arguments *a, int dropped)
{
    const fn_addnorm_bwd add = add_bwd_of(a, dropped);
    const fn_rmsnorm_bwd norm = {.m = a->m,
                                 .n = a->n,
                                 .dy = a->dy,
                                 .x = a->x,
                                 .rstd = a->rstd,
                                 .gamma = a->gamma,
                                 .dx = add.dresidual,
                                 .dsum = dsum_of(a),
                                 .dgamma = a->gamma ? rooms[OUT_DGAMMA].at : NULL};
    return fn_addnorm.add_rms_norm_backward(&add, &norm, a->dtype);
}

static int run_add_layer_norm_backward(const arguments *a) { return layer_norm_backward(a, 0); }
static int run_add_rms_norm_backward(const arguments *a) { return rms_norm_backward(a, 0); }
static int run_add_layer_norm_dropped_backward(const arguments *a) { return layer_norm_backward(a, 1); }
static int run_add_rms_norm_dropped_backward(const arguments *a) { return rms_norm_backward(a, 1); }

#define FORWARD {{"y", OUT_Y, 0}, {"sum", OUT_SUM, 0}, {"rstd", OUT_RSTD, 1}, {"mean", OUT_MEAN, 1}}
#define RMS_FORWARD {{"y", OUT_Y, 0}, {"sum", OUT_SUM, 0}, {"rstd", OUT_RSTD, 1}}

const operation addnorm_operations[] = {
    {"add_layer_norm", 1, 0, 0, run_add_layer_norm, FORWARD},
    {"add_layer_norm dropped", 1, 0, 0, run_add_layer_norm_dropped, FORWARD},
    {"add_rms_norm", 1, 0, 0, run_add_rms_norm, RMS_FORWARD},
    {"add_rms_norm dropped", 1, 0, 0, run_add_rms_norm_dropped, RMS_FORWARD},
    {"add_layer_norm_backward",
     1,
     1,
     1,
     run_add_layer_norm_backward,
     {{"dresidual", OUT_SUM, 0}, {"dgamma", OUT_DGAMMA, 0}, {"dbeta", OUT_DBETA, 0}}},
    {"add_layer_norm_backward dropped",
     1,
     1,
     1,
     run_add_layer_norm_dropped_backward,
     {{"dresidual", OUT_SUM, 0}, {"dx", OUT_Y, 0}, {"dgamma", OUT_DGAMMA, 0}, {"dbeta", OUT_DBETA, 0}}},
    {"add_rms_norm_backward",
     1,
     1,
     1,
     run_add_rms_norm_backward,
     {{"dresidual", OUT_SUM, 0}, {"dgamma", OUT_DGAMMA, 0}}},
    {"add_rms_norm_backward dropped",
     1,
     1,
     1,
     run_add_rms_norm_dropped_backward,
     {{"dresidual", OUT_SUM, 0}, {"dx", OUT_Y, 0}, {"dgamma", OUT_DGAMMA, 0}}},
    {0},
};
