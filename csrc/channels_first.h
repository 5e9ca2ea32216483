/* BatchNorm of channels-first memory: the drivers of batchnorm.h for operations whose first.run is not 0. */
#ifndef FN_CHANNELS_FIRST_H
#define FN_CHANNELS_FIRST_H

#include "batchnorm.h"

int fn_channels_first_taken(ptrdiff_t m, ptrdiff_t c, fn_dtype dtype);
int fn_channels_first_forward(const fn_batchnorm_fwd *op, const fn_batchnorm_kernels *kernels, fn_dtype dtype);
int fn_channels_first_inference(const fn_batchnorm_inference *op, const fn_batchnorm_kernels *kernels, fn_dtype dtype);
int fn_channels_first_backward(const fn_batchnorm_bwd *op, const fn_batchnorm_kernels *kernels, fn_dtype dtype);

#endif
