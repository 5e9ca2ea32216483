#include "../simd/vec_neon.h"

#define FN_ISA_NAME "neon"
#define FN_ISA_TABLE fn_isa_neon
#include "../kernels/all.inc"
