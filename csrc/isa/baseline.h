/* Forced inlining of sixteen scalar lanes would take half a minute to compile. */
#define FN_PLAIN_INLINE
#define FN_UNROLL
#define FN_ISA baseline
#include "../simd/vec_scalar.h"
