#include "half.h"

#include "dispatch.h"

FN_TABLES(half)

void fn_widen(fn_storage storage, const void *from, float *to, ptrdiff_t n)
{
    half_kernels(FN_FLOAT32)->widen[storage](from, to, n);
}

void fn_narrow(fn_storage storage, const float *from, void *to, ptrdiff_t n, int stream)
{
    half_kernels(FN_FLOAT32)->narrow[storage](from, to, n, stream);
}
