#define FN_ISA neon
#include "../simd/vec_neon.h"
