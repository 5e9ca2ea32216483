/* The word transpose of the vocabulary that -include isa/<isa>.h chooses: lane i of row j becomes lane j of row i. */
#include <stdio.h>

#define CHECK_TRANSPOSE(vec, real, lanes)                                                                              \
    static int check_##vec(void)                                                                                       \
    {                                                                                                                  \
        real in[lanes], out[lanes];                                                                                    \
        vec rows[lanes];                                                                                               \
        int wrong = 0;                                                                                                 \
        for (int i = 0; i < lanes; i++) {                                                                              \
            for (int j = 0; j < lanes; j++) in[j] = (real)(100 * i + j);                                               \
            rows[i] = vec##_load(in);                                                                                  \
        }                                                                                                              \
        vec##_transpose(rows);                                                                                         \
        for (int i = 0; i < lanes; i++) {                                                                              \
            vec##_store(out, rows[i]);                                                                                 \
            for (int j = 0; j < lanes; j++) wrong += out[j] != (real)(100 * j + i);                                    \
        }                                                                                                              \
        return wrong;                                                                                                  \
    }

CHECK_TRANSPOSE(vf32, float, FN_VF32_LANES)
CHECK_TRANSPOSE(vf64, double, FN_VF64_LANES)

int main(void)
{
    const int wrong = check_vf32() + check_vf64();
    printf("transpose: %d wrong\n", wrong);
    return wrong != 0;
}
