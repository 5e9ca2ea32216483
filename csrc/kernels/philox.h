/* Philox 4x32-10 (J. K. Salmon, M. A. Moraes, R. O. Dror and D. E. Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC
 * 2011): a counter of four words and a key of two give four random words, by ten rounds of multiplications.
 *
 * A lane is a block: its four words are the lower halves of four registers, whose upper halves are left as they come, for
 * products do not see them. Some 6 instructions a word on AVX2, most of them of the rounds. */
#ifndef FN_PHILOX_H
#define FN_PHILOX_H

#include <stdint.h>

#include "../dropout.h"

enum { FN_PHILOX_BLOCKS = FN_DROPOUT_BLOCK / 4, FN_PHILOX_ROUNDS = 10 };

typedef struct {
    vu64 a, b, c, d;
} philox_state;

FN_INLINE philox_state philox_rounds(philox_state s, uint64_t seed)
{
    const vu64 m0 = vu64_set1(0xD2511F53u), m1 = vu64_set1(0xCD9E8D57u); /* M and, below, W of the paper's table 2 */
    uint32_t key0 = (uint32_t)seed, key1 = (uint32_t)(seed >> 32);
    for (int round = 0; round < FN_PHILOX_ROUNDS; round++, key0 += 0x9E3779B9u, key1 += 0xBB67AE85u) {
        const vu64 p = vu64_mul_low(m0, s.a), q = vu64_mul_low(m1, s.c);
        s.a = vu64_xor(vu64_xor(vu64_high(q), s.b), vu64_set1(key0));
        s.c = vu64_xor(vu64_xor(vu64_high(p), s.d), vu64_set1(key1));
        s.b = q;
        s.d = p;
    }
    return s;
}

/* words[i] of elements first + i, first being a multiple of four. */
static inline void philox_words(uint64_t seed, uint64_t offset, uint64_t first, uint32_t *restrict words)
{
    uint64_t a[FN_PHILOX_BLOCKS], b[FN_PHILOX_BLOCKS], c[FN_PHILOX_BLOCKS], d[FN_PHILOX_BLOCKS];
    for (uint32_t i = 0; i < FN_PHILOX_BLOCKS; i++) a[i] = first / 4 + i;
    for (int i = 0; i < FN_PHILOX_BLOCKS; i += FN_VF64_LANES) {
        const vu64 block = vu64_load(a + i);
        const philox_state s =
            philox_rounds((philox_state){block, vu64_high(block), vu64_set1(offset), vu64_set1(offset >> 32)}, seed);
        vu64_store(a + i, s.a);
        vu64_store(b + i, s.b);
        vu64_store(c + i, s.c);
        vu64_store(d + i, s.d);
    }
    for (int i = 0; i < FN_PHILOX_BLOCKS; i++) {
        words[4 * i] = (uint32_t)a[i];
        words[4 * i + 1] = (uint32_t)b[i];
        words[4 * i + 2] = (uint32_t)c[i];
        words[4 * i + 3] = (uint32_t)d[i];
    }
}

#endif
