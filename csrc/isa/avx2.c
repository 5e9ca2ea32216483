#include "../simd/vec_avx2.h"

#define FN_ISA_NAME "avx2"
#define FN_ISA_TABLE fn_isa_avx2
#include "../kernels/all.inc"
