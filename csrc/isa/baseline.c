/* Forced inlining of sixteen scalar lanes would take half a minute to compile. */
#define FN_PLAIN_INLINE

#include "../simd/vec_scalar.h"

#define FN_ISA_NAME "baseline"
#define FN_ISA_TABLE fn_isa_baseline
#include "../kernels/all.inc"
