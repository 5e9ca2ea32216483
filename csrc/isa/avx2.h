#define FN_ISA avx2
#include "../simd/vec_avx2.h"
