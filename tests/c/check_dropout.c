/* Philox 4x32-10 of the vocabulary that -include isa/<isa>.h chooses: the published vectors, and masks at places that
 * no array reaches, where the number of a block takes a second word. */
#include <stdio.h>

#include "../../csrc/kernels/dropout.c"
#include "check.h"

/* Element i's word, from the paper and by plain integers. */
static uint32_t word(uint64_t i, uint64_t seed, uint64_t offset)
{
    uint32_t c[4] = {(uint32_t)(i / 4), (uint32_t)(i / 4 >> 32), (uint32_t)offset, (uint32_t)(offset >> 32)};
    uint32_t k[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
    for (int round = 0; round < 10; round++) {
        const uint64_t p = (uint64_t)0xD2511F53u * c[0], q = (uint64_t)0xCD9E8D57u * c[2];
        c[0] = (uint32_t)(q >> 32) ^ c[1] ^ k[0];
        c[2] = (uint32_t)(p >> 32) ^ c[3] ^ k[1];
        c[1] = (uint32_t)q;
        c[3] = (uint32_t)p;
        k[0] += 0x9E3779B9u;
        k[1] += 0xBB67AE85u;
    }
    return c[i % 4];
}

/* The lower halves of all lanes of v are `expected`. */
static int lanes_are(vu64 v, uint32_t expected)
{
    uint64_t lanes[FN_VF64_LANES];
    int equal = 1;
    vu64_store(lanes, v);
    for (int i = 0; i < FN_VF64_LANES; i++) equal &= (uint32_t)lanes[i] == expected;
    return equal;
}

/* Vectors of Random123, the authors' own library. */
static void check_vectors(void)
{
    static const struct {
        uint32_t counter[4];
        uint64_t seed;
        uint32_t words[4];
    } known[] = {
        {{0, 0, 0, 0}, 0, {0x6627E8D5u, 0xE169C58Du, 0xBC57AC4Cu, 0x9B00DBD8u}},
        {{~0u, ~0u, ~0u, ~0u}, ~(uint64_t)0, {0x408F276Du, 0x41C83B0Eu, 0xA20BC7C6u, 0x6D5451FDu}},
        {{0x243F6A88u, 0x85A308D3u, 0x13198A2Eu, 0x03707344u},
         0x299F31D0A4093822u,
         {0xD16CFE09u, 0x94FDCCEBu, 0x5001E420u, 0x24126EA1u}},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        const uint32_t *c = known[i].counter, *w = known[i].words;
        philox_state s = {vu64_set1(c[0]), vu64_set1(c[1]), vu64_set1(c[2]), vu64_set1(c[3])};
        philox_rounds(&s, 1, known[i].seed);
        CHECK(lanes_are(s.a, w[0]) && lanes_are(s.b, w[1]) && lanes_are(s.c, w[2]) && lanes_are(s.d, w[3]));
    }
}

enum { N = 3 * FN_DROPOUT_BLOCK - 5 };

/* Elements from index `first` on are kept by their words, in y as in the mask. */
static void check_range(ptrdiff_t first)
{
    const fn_dropout_op op = {.scale = 2, .key = {0x0123456789ABCDEFu, 0xFEDCBA9876543210u, 0x60000000u}};
    float x[N], y[N];
    double wide[N], wide_y[N];
    unsigned char mask[(N + 7) / 8];
    for (int i = 0; i < N; i++) wide[i] = x[i] = (float)(i + 1);
    FN_TABLE(dropout)[FN_FLOAT32].apply(&op, first, N, x, y, mask);
    FN_TABLE(dropout)[FN_FLOAT64].apply(&op, first, N, wide, wide_y, NULL);
    int wrong = 0;
    for (int i = 0; i < N; i++) {
        const int kept = word((uint64_t)(first + i), op.key.seed, op.key.offset) >= op.key.threshold;
        wrong += y[i] != (kept ? 2 * x[i] : 0) || wide_y[i] != (kept ? 2 * wide[i] : 0);
        wrong += (mask[i / 8] >> i % 8 & 1) != kept;
    }
    CHECK(wrong == 0);
    CHECK(mask[N / 8] >> N % 8 == 0);
}

int main(void)
{
    const ptrdiff_t carry = (ptrdiff_t)1 << 34; /* here the number of a block takes a second word */
    const ptrdiff_t last = (PTRDIFF_MAX - N) / FN_DROPOUT_BLOCK * FN_DROPOUT_BLOCK;
    const ptrdiff_t places[] = {0,   FN_DROPOUT_BLOCK, carry - FN_DROPOUT_BLOCK, carry, 5 * carry - FN_DROPOUT_BLOCK,
                                last};
    check_vectors();
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) check_range(places[i]);
    printf("dropout: %d wrong\n", failures);
    return failures != 0;
}
