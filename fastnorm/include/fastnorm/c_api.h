/* fastnorm for compiled code: whole operations on raw pointers, which need no GIL and no NumPy.
 *
 * Arrays are C-contiguous (m, n) and aligned to their element, statistics always double. Every result that has x's shape
 * may be x itself; nothing else may overlap. A function returns 0, or -1 if memory cannot be had, and then nothing has been
 * written. Results have the bits of the Python functions, whatever the number of threads, which is that of
 * fastnorm.set_num_threads; calls from several threads at once are safe.
 *
 * The table is frozen: entries are added at its end, with a new version, and never moved or changed. Table and header may
 * be of different versions: an entry is there where it lies within the first `size` bytes.
 */
#ifndef FASTNORM_C_API_H
#define FASTNORM_C_API_H

#include <stddef.h>

#define FASTNORM_C_API_VERSION 1
#define FASTNORM_C_API_CAPSULE "fastnorm._core.c_api"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
    size_t version; /* FASTNORM_C_API_VERSION of the installed package */
    size_t size;    /* bytes of its table */
    /* Every row of x: y = (x - mean) * rstd * gamma + beta. gamma and beta (n) or NULL for 1 and 0; mean and rstd (m)
     * or NULL. */
    int (*layer_norm_f32)(ptrdiff_t m, ptrdiff_t n, const float *x, const float *gamma, const float *beta, double eps,
                          float *y, double *mean, double *rstd);
    int (*layer_norm_f64)(ptrdiff_t m, ptrdiff_t n, const double *x, const double *gamma, const double *beta,
                          double eps, double *y, double *mean, double *rstd);
    /* Its gradients. gamma and dgamma (n), both NULL or none; dbeta (n); dx may be x or dy. */
    int (*layer_norm_backward_f32)(ptrdiff_t m, ptrdiff_t n, const float *dy, const float *x, const double *mean,
                                   const double *rstd, const float *gamma, float *dx, float *dgamma, float *dbeta);
    int (*layer_norm_backward_f64)(ptrdiff_t m, ptrdiff_t n, const double *dy, const double *x, const double *mean,
                                   const double *rstd, const double *gamma, double *dx, double *dgamma, double *dbeta);
    /* Every row of x: y = x * rstd * gamma. gamma (n) or NULL for 1; rstd (m) or NULL. */
    int (*rms_norm_f32)(ptrdiff_t m, ptrdiff_t n, const float *x, const float *gamma, double eps, float *y,
                        double *rstd);
    int (*rms_norm_f64)(ptrdiff_t m, ptrdiff_t n, const double *x, const double *gamma, double eps, double *y,
                        double *rstd);
    /* Its gradients. gamma and dgamma (n), both NULL or none; dx may be x or dy. */
    int (*rms_norm_backward_f32)(ptrdiff_t m, ptrdiff_t n, const float *dy, const float *x, const double *rstd,
                                 const float *gamma, float *dx, float *dgamma);
    int (*rms_norm_backward_f64)(ptrdiff_t m, ptrdiff_t n, const double *dy, const double *x, const double *rstd,
                                 const double *gamma, double *dx, double *dgamma);
    /* Every column of x: y = (x - mean) * rstd * gamma + beta. gamma, beta, mean and rstd (n) or NULL. */
    int (*batch_norm_f32)(ptrdiff_t m, ptrdiff_t n, const float *x, const float *gamma, const float *beta, double eps,
                          float *y, double *mean, double *rstd);
    int (*batch_norm_f64)(ptrdiff_t m, ptrdiff_t n, const double *x, const double *gamma, const double *beta,
                          double eps, double *y, double *mean, double *rstd);
    /* Its gradients. gamma and dgamma (n), both NULL or none; dbeta (n); dx may be x or dy. */
    int (*batch_norm_backward_f32)(ptrdiff_t m, ptrdiff_t n, const float *dy, const float *x, const double *mean,
                                   const double *rstd, const float *gamma, float *dx, float *dgamma, float *dbeta);
    int (*batch_norm_backward_f64)(ptrdiff_t m, ptrdiff_t n, const double *dy, const double *x, const double *mean,
                                   const double *rstd, const double *gamma, double *dx, double *dgamma, double *dbeta);
} fastnorm_c_api;

/* The table of the installed package, or NULL with an exception set: for those who include Python.h first. With the GIL. */
#ifdef Py_PYTHON_H
static inline const fastnorm_c_api *fastnorm_import(void)
{
    PyObject *module = PyImport_ImportModule("fastnorm");
    if (!module) return NULL;
    Py_DECREF(module);
    return (const fastnorm_c_api *)PyCapsule_Import(FASTNORM_C_API_CAPSULE, 0);
}
#endif

#ifdef __cplusplus
}
#endif

#endif
