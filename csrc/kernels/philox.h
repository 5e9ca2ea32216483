/* Philox 4x32-10 (J. K. Salmon, M. A. Moraes, R. O. Dror and D. E. Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC
 * 2011): a counter of four words and a key of two give four random words, by ten rounds of multiplications.
 *
 * A lane is a block: its four words are the lower halves of four registers, whose upper halves are left as they come, for
 * products do not see them. A round waits for its products, so two states go side by side: 1.15 times as fast as one on
 * AVX2 and AVX-512, while four no longer fit into the registers of AVX2. Some 6 instructions a word there, most of them of
 * the rounds. */
#ifndef FN_PHILOX_H
#define FN_PHILOX_H

#include <stdint.h>

#include "../dropout.h"

enum { FN_PHILOX_BLOCKS = FN_DROPOUT_BLOCK / 4, FN_PHILOX_ROUNDS = 10, FN_PHILOX_STATES = 2 };

typedef struct {
    vu64 a, b, c, d;
} philox_state;

FN_INLINE void philox_rounds(philox_state *states, int count, uint64_t seed)
{
    const vu64 m0 = vu64_set1(0xD2511F53u), m1 = vu64_set1(0xCD9E8D57u); /* M and, below, W of the paper's table 2 */
    uint32_t key0 = (uint32_t)seed, key1 = (uint32_t)(seed >> 32);
    for (int round = 0; round < FN_PHILOX_ROUNDS; round++, key0 += 0x9E3779B9u, key1 += 0xBB67AE85u) {
        const vu64 k0 = vu64_set1(key0), k1 = vu64_set1(key1);
        for (philox_state *s = states; s < states + count; s++) {
            const vu64 p = vu64_mul_low(m0, s->a), q = vu64_mul_low(m1, s->c);
            s->a = vu64_xor(vu64_high(q), vu64_xor(s->b, k0));
            s->c = vu64_xor(vu64_high(p), vu64_xor(s->d, k1));
            s->b = q;
            s->d = p;
        }
    }
}

/* words[i] of elements first + i, first being a multiple of four. */
static inline void philox_words(uint64_t seed, uint64_t offset, uint64_t first, uint32_t *restrict words)
{
    uint64_t blocks[FN_PHILOX_BLOCKS];
    for (uint32_t i = 0; i < FN_PHILOX_BLOCKS; i++) blocks[i] = first / 4 + i;
    for (int i = 0; i < FN_PHILOX_BLOCKS; i += FN_PHILOX_STATES * FN_VF64_LANES) {
        philox_state s[FN_PHILOX_STATES];
        for (int k = 0; k < FN_PHILOX_STATES; k++) {
            const vu64 block = vu64_load(blocks + i + k * FN_VF64_LANES);
            s[k] = (philox_state){block, vu64_high(block), vu64_set1(offset), vu64_set1(offset >> 32)};
        }
        philox_rounds(s, FN_PHILOX_STATES, seed);
        for (int k = 0; k < FN_PHILOX_STATES; k++)
            vu64_store_words(words + 4 * (i + k * FN_VF64_LANES), s[k].a, s[k].b, s[k].c, s[k].d);
    }
}

#endif
