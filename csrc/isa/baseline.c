#include "../simd/vec_scalar.h"

#define FN_ISA_NAME "baseline"
#define FN_ISA_TABLE fn_isa_baseline
#include "../kernels/all.inc"
