/* Errors of activations on all float32 numbers, against double: 4 ulp forward; backward on a 13th of them, for several dy,
 * 4 eps of abs(dy) times the sizes of the terms of the derivative. Ten minutes of processor time, on the best ISA there is.
 *
 *   gcc -std=c11 -O2 -Icsrc tests/c/check_activations.c KERNELS DRIVERS -lpthread -lm, as tests/c/emulate.sh builds them
 */
#include <float.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "activations.h"
#include "dispatch.h"

enum { N = 1 << 16, LIMIT = 4 };

static float x[N], dy[N], result[N];
static int failures;

static double logistic(double z)
{
    const double e = exp(-fabs(z));
    return (z < 0 ? e : 1) / (1 + e);
}

/* f(z) = z s(z) for the last three: s, and z times its derivative. */
static void gate(fn_activation which, double z, double *s, double *rest)
{
    const double c = 1.59576912160573071176, a = 0.044715, argument = c * (z + a * z * z * z);
    *s = which == FN_GELU ? erfc(-z * 0.70710678118654752440) / 2 : logistic(which == FN_SILU ? z : argument);
    if (which == FN_GELU)
        *rest = z * 0.39894228040143267794 * exp(-z * z / 2);
    else if (which == FN_SILU)
        *rest = z * *s * logistic(-z);
    else
        *rest = z * *s * logistic(-argument) * c * (1 + 3 * a * z * z);
    if (fabs(z) > 1000) *rest = 0;
}

static double value(fn_activation which, double z)
{
    double s, rest;
    if (which == FN_SIGMOID) return logistic(z);
    if (which == FN_TANH) return tanh(z);
    if (isinf(z)) return z > 0 ? z : 0;
    gate(which, z, &s, &rest);
    return z * s;
}

static double ulp(double a)
{
    int exponent;
    frexp((double)(float)a, &exponent);
    return fabs(a) < FLT_MIN ? 0x1p-149 : ldexp(1, exponent - FLT_MANT_DIG);
}

/* In units of the limit's; of NaN and infinity 0, or infinite. */
static double error_of_value(fn_activation which, int i)
{
    const double z = (double)x[i], y = (double)result[i], true_y = value(which, z);
    if (isnan(z) || isinf((float)true_y)) return isnan(z) ? (isnan(y) ? 0 : HUGE_VAL) : (y == true_y ? 0 : HUGE_VAL);
    const double error = fabs(y - true_y) / ulp(true_y);
    return isnan(error) ? HUGE_VAL : error;
}

static double error_of_gradient(fn_activation which, int i)
{
    const double z = (double)x[i], d = (double)dy[i], dx = (double)result[i];
    double s, rest;
    if (isnan(z)) return isnan(dx) ? 0 : HUGE_VAL;
    gate(which, z, &s, &rest);
    if (fabs(d * (s + rest)) > (double)FLT_MAX) return 0;
    const double error =
        fabs(dx - d * (s + rest)) / fmax((double)FLT_EPSILON * fabs(d) * (fabs(s) + fabs(rest)), 0x1p-149);
    return isnan(error) ? HUGE_VAL : error;
}

static void check(const char *name, fn_activation which, int backward)
{
    static const float some[] = {1, -3, 0x1p127f, 1e-20f, FLT_MAX, 0x1p-149f, 0.7f};
    const uint64_t step = backward ? 13 : 1;
    double worst = 0, at = 0;
    for (uint64_t bits = 0; bits < UINT64_C(1) << 32;) {
        int n = 0;
        for (; n < N && bits < UINT64_C(1) << 32; n++, bits += step) {
            const uint32_t word = (uint32_t)bits;
            memcpy(&x[n], &word, sizeof word);
            dy[n] = some[n % 7];
        }
        if (backward)
            fn_activations.backward(which, &(fn_activations_bwd){.n = n, .dy = dy, .kept = x, .dx = result},
                                    FN_FLOAT32);
        else
            fn_activations.forward(which, &(fn_activations_fwd){.n = n, .x = x, .y = result}, FN_FLOAT32);
        for (int i = 0; i < n; i++) {
            const double error = backward ? error_of_gradient(which, i) : error_of_value(which, i);
            if (error > worst) worst = error, at = (double)x[i];
        }
    }
    failures += worst > LIMIT;
    printf("%-9s %s  %.3f at %a%s\n", name, backward ? "backward" : "forward ", worst, at,
           worst > LIMIT ? "  FAILED" : "");
}

int main(void)
{
    fn_dispatch_init(fn_cpu_detect());
    check("sigmoid", FN_SIGMOID, 0);
    check("tanh", FN_TANH, 0);
    check("gelu", FN_GELU, 0);
    check("gelu_tanh", FN_GELU_TANH, 0);
    check("silu", FN_SILU, 0);
    check("gelu", FN_GELU, 1);
    check("gelu_tanh", FN_GELU_TANH, 1);
    check("silu", FN_SILU, 1);
    return failures != 0;
}
