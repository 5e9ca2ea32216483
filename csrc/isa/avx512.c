#include "../simd/vec_avx512.h"

#define FN_ISA_NAME "avx512"
#define FN_ISA_TABLE fn_isa_avx512
#include "../kernels/all.inc"
