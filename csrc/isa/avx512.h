#define FN_ISA avx512
#include "../simd/vec_avx512.h"
