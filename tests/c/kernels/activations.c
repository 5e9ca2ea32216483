/* Activations: every size up to 100, and numbers of every kind that they could treat otherwise. */
#include "../../../csrc/activations.h"

#include "kernels.h"

static int forward(fn_activation which, const arguments *a)
{
    const fn_activations_fwd op = {.n = a->n, .x = a->x, .y = rooms[OUT].at, .slope = a->slope};
    return fn_activations.forward(which, &op, a->dtype);
}

static int backward(fn_activation which, const arguments *a)
{
    const fn_activations_bwd op = {.n = a->n, .dy = a->dy, .kept = a->x, .dx = rooms[OUT].at, .slope = a->slope};
    return fn_activations.backward(which, &op, a->dtype);
}

#define RUN(name, which)                                                                 \
    static int run_##name(const arguments *a) { return forward(which, a); }              \
    static int run_##name##_backward(const arguments *a) { return backward(which, a); }
#define ROWS(name)                                                                       \
    {#name, 1, 0, 0, run_##name, {{"y", OUT, 0}}},                                       \
    {#name "_backward", 1, 1, 0, run_##name##_backward, {{"dx", OUT, 0}}}

RUN(relu, FN_RELU)
RUN(leaky_relu, FN_LEAKY_RELU)
RUN(sigmoid, FN_SIGMOID)
RUN(tanh, FN_TANH)
RUN(gelu, FN_GELU)
RUN(gelu_tanh, FN_GELU_TANH)
RUN(silu, FN_SILU)

static const operation operations[] = {
    ROWS(relu), ROWS(leaky_relu), ROWS(sigmoid), ROWS(tanh), ROWS(gelu), ROWS(gelu_tanh), ROWS(silu),
};

/* ---- numbers ----------------------------------------------------------------------------------------------------- */

typedef enum { EVERYDAY, LANDMARK, EVERY_BINADE, HOSTILE, ANY_OF_THEM, SORTS } sort;

static const char *const sort_names[SORTS] = {"everyday", "landmarks", "every binade", "hostile", "any"};

static uint64_t assembled(fn_dtype dtype, uint64_t sign, uint64_t exponent, uint64_t mantissa)
{
    if (dtype == FN_FLOAT32) return sign << 31 | exponent << 23 | (mantissa & 0x7FFFFFu);
    return sign << 63 | exponent << 52 | (mantissa & 0xFFFFFFFFFFFFFu);
}

static uint64_t bits_of_number(fn_dtype dtype, double value)
{
    const float narrow = (float)value;
    uint32_t narrow_bits;
    uint64_t bits;
    memcpy(&narrow_bits, &narrow, sizeof narrow);
    memcpy(&bits, &value, sizeof value);
    return dtype == FN_FLOAT32 ? narrow_bits : bits;
}

/* Where formulas, or the numbers themselves, come to an end, give or take 4 ulp. */
static uint64_t landmark(fn_dtype dtype)
{
    static const double places[] = {0.25,  0.34657359, 0.5,       1,         4,         5,         8,    13,
                                    13.75, 14.5,       20,        20.5,      24,        37.5,      38.6, 40,
                                    50,    69.3,       88.02969,  88.722839, 103.27893, 103.97208, 200,  208,
                                    220,   708.39642,  709.78271, 745.13322, 800};
    const uint64_t sign = (uint64_t)below(2) << (dtype == FN_FLOAT32 ? 31 : 63);
    const double place = places[below(COUNT_OF(places))];
    return sign | (bits_of_number(dtype, place) + (uint64_t)below(9) - 4);
}

/* Both ends of a binade and what lies within; the first are the subnormal numbers, the last infinity and NaN. */
static uint64_t of_binade(fn_dtype dtype, uint64_t exponent)
{
    const uint64_t sign = (uint64_t)below(2), any = random_bits();
    const int shift = below(52);
    switch (below(4)) {
    case 0: return assembled(dtype, sign, exponent, 0);
    case 1: return assembled(dtype, sign, exponent, 1);
    case 2: return assembled(dtype, sign, exponent, ~(uint64_t)0);
    default: return assembled(dtype, sign, exponent, any >> shift);
    }
}

static uint64_t hostile(fn_dtype dtype)
{
    const uint64_t last = dtype == FN_FLOAT32 ? 255 : 2047;
    const uint64_t exponents[] = {0, 0, 1, last - 1, last, last};
    return of_binade(dtype, exponents[below(COUNT_OF(exponents))]);
}

static uint64_t number(sort s, fn_dtype dtype, ptrdiff_t k)
{
    int power;
    switch (s) {
    case EVERYDAY: power = below(12); return bits_of_number(dtype, (uniform() - 0.5) * (double)(1 << power));
    case LANDMARK: return landmark(dtype);
    case EVERY_BINADE: return of_binade(dtype, (uint64_t)k % (dtype == FN_FLOAT32 ? 256 : 2048));
    case HOSTILE: return hostile(dtype);
    default: return number((sort)below(ANY_OF_THEM), dtype, k);
    }
}

/* From a binade of its own on, so that short arrays come to all of them. */
static const void *fill(int i, fn_dtype dtype, ptrdiff_t n, sort s)
{
    const ptrdiff_t first = below(2048);
    void *to = make_room(i, n, dtype == FN_FLOAT32 ? 4 : 8);
    for (ptrdiff_t k = 0; k < n; k++) {
        const uint64_t bits = number(s, dtype, first + k);
        const uint32_t narrow = (uint32_t)bits;
        if (dtype == FN_FLOAT32)
            memcpy((float *)to + k, &narrow, sizeof narrow);
        else
            memcpy((double *)to + k, &bits, sizeof bits);
    }
    return to;
}

/* ---- cases ------------------------------------------------------------------------------------------------------- */

static void check(fn_dtype dtype, ptrdiff_t n, sort s)
{
    static const float slopes[] = {0.01f, 0.01f, 0.3f, 0, 1, 2, 0x1p-140f, 0x1.fffffep127f};
    const sort of_dy = below(2) ? EVERYDAY : (sort)below(SORTS);
    char description[200];
    in_arenas = (int)(cases++ % 2);
    const arguments a = {.dtype = dtype,
                         .m = 1,
                         .n = n,
                         .x = fill(X, dtype, n, s),
                         .dy = fill(DY, dtype, n, of_dy),
                         .slope = (double)slopes[below(COUNT_OF(slopes))]};
    make_room(OUT, n, dtype == FN_FLOAT32 ? 4 : 8);
    snprintf(description, sizeof description, "%s, n %td, x %s, dy %s, slope %g, %s",
             dtype == FN_FLOAT32 ? "float32" : "float64", n, sort_names[s], sort_names[of_dy], a.slope,
             in_arenas ? "in arenas" : "in blocks");
    for (int i = 0; i < COUNT_OF(operations); i++) check_operation(&operations[i], &a, description);
    clear_rooms();
}

void check_activations(fn_dtype dtype)
{
    /* around registers, and tasks of both kinds and dtypes: of 2^13 to 2^16 numbers; these are shared among threads */
    static const int ends[] = {127, 128, 129, 255, 256, 257, 1023, 1025, 8191, 8193, 16385, 32769};
    for (int n = 0; n <= 100; n++)
        for (int s = 0; s < SORTS; s++) check(dtype, n, (sort)s);
    for (int i = 0; i < COUNT_OF(ends); i++) check(dtype, ends[i], ANY_OF_THEM);
    for (int i = 0; i < 3; i++) check(dtype, 2 * 8 * 2048 + i, EVERY_BINADE);
    check(dtype, 70001, ANY_OF_THEM);
}
