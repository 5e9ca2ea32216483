/* BatchNorm. */
#include "../../../csrc/batchnorm.h"

#include "kernels.h"

static int run_batch_norm(const arguments *a)
{
    const fn_batchnorm_fwd op = {.m = a->m,
                                 .c = a->n,
                                 .stride = a->n,
                                 .x = a->x,
                                 .gamma = a->gamma,
                                 .beta = a->beta,
                                 .eps = a->eps,
                                 .y = rooms[OUT].at,
                                 .mean = rooms[OUT_MEAN].at,
                                 .rstd = rooms[OUT_RSTD].at,
                                 .m2 = rooms[OUT_M2].at};
    return fn_batchnorm.forward(&op, a->dtype);
}

static int run_batch_norm_inference(const arguments *a)
{
    const fn_batchnorm_inference op = {.m = a->m,
                                       .c = a->n,
                                       .stride = a->n,
                                       .x = a->x,
                                       .running_mean = a->mean,
                                       .running_var = a->rstd,
                                       .gamma = a->gamma,
                                       .beta = a->beta,
                                       .y = rooms[OUT].at,
                                       .eps = a->eps};
    return fn_batchnorm.inference(&op, a->dtype);
}

static int batch_norm_backward(const arguments *a, fn_finish_bwd finish)
{
    const fn_batchnorm_bwd op = {.m = a->m,
                                 .c = a->n,
                                 .stride = a->n,
                                 .dy = a->dy,
                                 .x = a->x,
                                 .mean = a->mean,
                                 .rstd = a->rstd,
                                 .gamma = a->gamma,
                                 .dx = rooms[OUT].at,
                                 .dgamma = a->gamma ? rooms[OUT_DGAMMA].at : NULL,
                                 .dbeta = rooms[OUT_DBETA].at,
                                 .finish = finish};
    return fn_batchnorm.backward(&op, a->dtype);
}

static int run_batch_norm_inference_backward(const arguments *a)
{
    const fn_batchnorm_inference_bwd op = {.m = a->m,
                                           .c = a->n,
                                           .stride = a->n,
                                           .dy = a->dy,
                                           .x = a->x,
                                           .running_mean = a->mean,
                                           .running_var = a->rstd,
                                           .gamma = a->gamma,
                                           .eps = a->eps,
                                           .dx = rooms[OUT].at,
                                           .dgamma = a->gamma ? rooms[OUT_DGAMMA].at : NULL,
                                           .dbeta = rooms[OUT_DBETA].at};
    return fn_batchnorm.inference_backward(&op, a->dtype);
}

static int run_batch_norm_relu(const arguments *a)
{
    const fn_batchnorm_fwd op = {.m = a->m,
                                 .c = a->n,
                                 .stride = a->n,
                                 .x = a->x,
                                 .gamma = a->gamma,
                                 .beta = a->beta,
                                 .eps = a->eps,
                                 .y = rooms[OUT].at,
                                 .finish = {a->dy, FN_RELU}};
    return fn_batchnorm.forward(&op, a->dtype);
}

static int run_batch_norm_backward(const arguments *a) { return batch_norm_backward(a, (fn_finish_bwd){.beta = NULL}); }

static int run_batch_norm_relu_backward(const arguments *a)
{
    return batch_norm_backward(a, (fn_finish_bwd){.of = {NULL, FN_RELU}, .beta = a->beta});
}

static int run_batch_norm_residual_backward(const arguments *a)
{
    return batch_norm_backward(a, (fn_finish_bwd){{a->x, FN_RELU}, a->beta, rooms[OUT_SUM].at});
}

const operation batchnorm_operations[] = {
    {"batch_norm",
     0,
     0,
     0,
     run_batch_norm,
     {{"y", OUT, 0}, {"mean", OUT_MEAN, 1}, {"rstd", OUT_RSTD, 1}, {"m2", OUT_M2, 1}}},
    {"batch_norm_inference", 0, 0, 1, run_batch_norm_inference, {{"y", OUT, 0}}},
    {"batch_norm_backward",
     0,
     1,
     1,
     run_batch_norm_backward,
     {{"dx", OUT, 0}, {"dgamma", OUT_DGAMMA, 0}, {"dbeta", OUT_DBETA, 0}}},
    {"batch_norm_inference_backward",
     0,
     1,
     1,
     run_batch_norm_inference_backward,
     {{"dx", OUT, 0}, {"dgamma", OUT_DGAMMA, 0}, {"dbeta", OUT_DBETA, 0}}},
    {"batch_norm with a residual and a ReLU", 0, 1, 0, run_batch_norm_relu, {{"y", OUT, 0}}},
    {"batch_norm_backward with a ReLU",
     0,
     1,
     1,
     run_batch_norm_relu_backward,
     {{"dx", OUT, 0}, {"dgamma", OUT_DGAMMA, 0}, {"dbeta", OUT_DBETA, 0}}},
    {"batch_norm_backward with a residual and a ReLU",
     0,
     1,
     1,
     run_batch_norm_residual_backward,
     {{"dx", OUT, 0}, {"dresidual", OUT_SUM, 0}, {"dgamma", OUT_DGAMMA, 0}, {"dbeta", OUT_DBETA, 0}}},
    {0},
};
