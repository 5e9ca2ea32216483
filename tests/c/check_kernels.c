/* Checks that every kernel table gives the bits of the baseline:
 *
 *     check_kernels [every=<k>] [unguarded] [forced table ...]
 *
 * every=<k> takes one case in k; unguarded is for emulators that read what a masked load leaves out.
 *
 * Draws arrays, runs every operation with the baseline table and with every other table that this processor can run or
 * that is named on the command line (for tables that were compiled to an emulation), and compares the results; NaN
 * equals any NaN. Prints each mismatch, and a hash of all baseline results, which has to be the same on every
 * architecture; the exit status says whether there was a mismatch. emulate.sh builds and runs it in every way there is.
 *
 * Half of the arrays end at a page that must not be touched, the others are blocks of malloc of just their size: the
 * first kind stops vector instructions that sanitizers do not see, the second is for the sanitizers. Nothing here may
 * depend on a mathematical library, or the hash would. */
#define _DEFAULT_SOURCE 1

#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../../csrc/batchnorm.h"
#include "../../csrc/clipping.h"
#include "../../csrc/cpu.h"
#include "../../csrc/dispatch.h"
#include "../../csrc/dropout.h"
#include "../../csrc/groupnorm.h"
#include "../../csrc/layernorm.h"
#include "../../csrc/penalties.h"
#include "../../csrc/rmsnorm.h"

#define COUNT_OF(array) ((int)(sizeof(array) / sizeof *(array)))

/* ---- random numbers: the same on every machine ------------------------------------------------------------------- */

static uint64_t random_state = 1;

static uint64_t random_bits(void) /* splitmix64 (Steele, Lea & Flood 2014) */
{
    uint64_t z = random_state += 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

static int below(int n) { return (int)(random_bits() % (uint64_t)n); }
static double uniform(void) { return (double)(random_bits() >> 11) * 0x1p-53; }

/* Near enough to a normal deviate; never beyond 3.5. */
static double normal(void)
{
    const double a = uniform(), b = uniform(), c = uniform(), d = uniform();
    return (((a + b) + (c + d)) - 2) * 1.7320508075688772;
}

/* ---- data -------------------------------------------------------------------------------------------------------- */

typedef enum {
    PLAIN, HUGE_MEAN, HUGER_MEAN, CONSTANT, CONSTANT_ROWS, CONSTANT_COLUMNS, ZEROS, INTEGERS, OUTLIERS, CAUCHY, SCALES,
    SMALL, TINY, LARGE, OVERFLOWING, SPECIAL, MOSTLY_NAN, MIXED_ROWS, MIXED_COLUMNS, KINDS
} data_kind;

static const char *const kind_names[KINDS] = {
    "plain", "huge mean", "huger mean", "constant", "constant rows", "constant columns", "zeros", "integers",
    "outliers", "cauchy", "scales", "small", "tiny", "large", "overflowing", "special", "mostly nan", "mixed rows",
    "mixed columns"};

static double special(void)
{
    switch (below(3)) {
    case 0: return (double)NAN;
    case 1: return (double)INFINITY;
    default: return -(double)INFINITY;
    }
}

static double draw(data_kind kind, fn_dtype dtype, ptrdiff_t row, ptrdiff_t column)
{
    const int wide = dtype == FN_FLOAT64;
    double scale; /* drawn in a statement of its own: operands are evaluated in no certain order */
    switch (kind) {
    case PLAIN: return normal();
    case HUGE_MEAN: return 1e6 + normal();
    case HUGER_MEAN: return (wide ? 1e14 : 1e8) * (1 + 1e-7 * normal());
    case CONSTANT: return 0.1;
    case CONSTANT_ROWS: return 0.1 + (double)row;
    case CONSTANT_COLUMNS: return -1e3 / (1 + (double)column);
    case ZEROS: return below(40) ? (below(2) ? 0.0 : -0.0) : normal();
    case INTEGERS: return (double)(below(5) - 1);
    case OUTLIERS: return below(50) ? normal() : 1e8 * normal();
    case CAUCHY: scale = uniform() - 0.5; return normal() / scale;
    case SCALES: scale = (double)(1LL << below(60)) * 0x1p-30; return normal() * scale;
    case SMALL: return (wide ? 1e-160 : 1e-25) * normal();
    case TINY: return (wide ? 1e-308 : 1e-38) * normal();
    case LARGE: return (wide ? 1e160 : 1e25) * normal();
    case OVERFLOWING: return (wide ? 5e307 : 9e37) * (0.5 + normal());
    case SPECIAL: return below(100) ? normal() : special();
    case MOSTLY_NAN: return below(3) ? (double)NAN : normal();
    case MIXED_ROWS: return draw((data_kind)((row * 5 + 1) % MIXED_ROWS), dtype, row, column);
    default: return draw((data_kind)((column * 7 / 3) % MIXED_ROWS), dtype, row, column);
    }
}

/* ---- memory ------------------------------------------------------------------------------------------------------ */

enum { X, DY, GAMMA, BETA, MEAN, RSTD, OUT, OUT_MEAN, OUT_RSTD, OUT_M2, OUT_DGAMMA, OUT_DBETA, ROOMS };

enum { PATTERN_BASELINE = 0xA5, PATTERN_OTHER = 0x5A, CANARY = 0xC3, CANARY_BYTES = 64, MOST_BYTES = 1 << 22 };

/* An arena for each array, the page behind it being out of bounds. */
static unsigned char *arena[ROOMS];

typedef struct {
    void *at;
    size_t bytes;
    void *block;           /* of malloc, or NULL */
    unsigned char *canary; /* just before an array in the arena */
} room;

static room rooms[ROOMS];

static _Noreturn void give_up(const char *what)
{
    perror(what);
    exit(3);
}

static void make_arenas(int guarded)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    for (int i = 0; i < ROOMS; i++) {
        arena[i] = mmap(NULL, MOST_BYTES + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (arena[i] == MAP_FAILED) give_up("mmap");
        if (guarded && mprotect(arena[i] + MOST_BYTES, page, PROT_NONE)) give_up("mprotect");
    }
}

static int in_arenas; /* where the arrays of the case in hand are */

static void *make_room(int i, ptrdiff_t items, size_t item_bytes)
{
    room *r = &rooms[i];
    r->bytes = (size_t)items * item_bytes;
    if (in_arenas) {
        if (r->bytes + CANARY_BYTES > MOST_BYTES) give_up("an array that is larger than its arena");
        r->at = arena[i] + MOST_BYTES - r->bytes;
        r->canary = (unsigned char *)r->at - CANARY_BYTES;
        memset(r->canary, CANARY, CANARY_BYTES);
    } else {
        const size_t start = (size_t)below(8) * item_bytes; /* aligned to its elements and no more */
        r->block = malloc(start + r->bytes);
        if (!r->block) give_up("malloc");
        r->at = (char *)r->block + start;
    }
    return r->at;
}

static int canaries_alive(void)
{
    int alive = 1;
    for (int i = 0; i < ROOMS; i++)
        for (int k = 0; rooms[i].canary && k < CANARY_BYTES; k++) alive &= rooms[i].canary[k] == CANARY;
    return alive;
}

static void clear_rooms(void)
{
    for (int i = 0; i < ROOMS; i++) free(rooms[i].block);
    memset(rooms, 0, sizeof rooms);
}

/* ---- one case ---------------------------------------------------------------------------------------------------- */

/* Size of results that drivers write past the cache, if they were compiled with FN_STREAM_BYTES defined to this name:
 * arrays of the real size would take too long. */
ptrdiff_t check_stream_bytes = PTRDIFF_MAX;

typedef enum { FRESH, STREAMED, OVER_X, OVER_DY, PLACES } place;

static const char *const place_names[PLACES] = {"fresh", "streamed", "over x", "over dy"};

/* Arguments of any of the operations. */
typedef struct {
    fn_dtype dtype;
    ptrdiff_t m, n; /* n stands for c, too */
    const void *x, *dy, *gamma, *beta;
    const double *mean, *rstd; /* (m) or (n), given */
    double eps;
} arguments;

typedef struct {
    const char *name;
    int room;
    int is_double;
} output;

typedef struct {
    const char *name;
    int rows;     /* statistics are per row, not per column */
    int backward;
    int given;    /* takes statistics */
    int (*run)(const arguments *a);
    const output outputs[4];
} operation;

static int run_layer_norm(const arguments *a)
{
    const fn_layernorm_fwd op = {.m = a->m, .n = a->n, .x = a->x, .gamma = a->gamma, .beta = a->beta, .eps = a->eps,
                                 .y = rooms[OUT].at, .mean = rooms[OUT_MEAN].at, .rstd = rooms[OUT_RSTD].at};
    return fn_layernorm.forward(&op, a->dtype);
}

static int run_layer_norm_backward(const arguments *a)
{
    const fn_layernorm_bwd op = {.m = a->m, .n = a->n, .dy = a->dy, .x = a->x, .mean = a->mean, .rstd = a->rstd,
                                 .gamma = a->gamma, .dx = rooms[OUT].at,
                                 .dgamma = a->gamma ? rooms[OUT_DGAMMA].at : NULL, .dbeta = rooms[OUT_DBETA].at};
    return fn_layernorm.backward(&op, a->dtype);
}

static int run_batch_norm(const arguments *a)
{
    const fn_batchnorm_fwd op = {.m = a->m, .c = a->n, .stride = a->n, .x = a->x, .gamma = a->gamma, .beta = a->beta, .eps = a->eps,
                                 .y = rooms[OUT].at, .mean = rooms[OUT_MEAN].at, .rstd = rooms[OUT_RSTD].at,
                                 .m2 = rooms[OUT_M2].at};
    return fn_batchnorm.forward(&op, a->dtype);
}

static int run_batch_norm_inference(const arguments *a)
{
    const fn_batchnorm_inference op = {.m = a->m, .c = a->n, .stride = a->n, .x = a->x, .running_mean = a->mean,
                                       .running_var = a->rstd, .gamma = a->gamma, .beta = a->beta,
                                       .y = rooms[OUT].at, .eps = a->eps};
    return fn_batchnorm.inference(&op, a->dtype);
}

static int run_batch_norm_backward(const arguments *a)
{
    const fn_batchnorm_bwd op = {.m = a->m, .c = a->n, .stride = a->n, .dy = a->dy, .x = a->x, .mean = a->mean, .rstd = a->rstd,
                                 .gamma = a->gamma, .dx = rooms[OUT].at,
                                 .dgamma = a->gamma ? rooms[OUT_DGAMMA].at : NULL, .dbeta = rooms[OUT_DBETA].at};
    return fn_batchnorm.backward(&op, a->dtype);
}

static int run_batch_norm_inference_backward(const arguments *a)
{
    const fn_batchnorm_inference_bwd op = {.m = a->m, .c = a->n, .stride = a->n, .dy = a->dy, .x = a->x, .running_mean = a->mean,
                                           .running_var = a->rstd, .gamma = a->gamma, .eps = a->eps, .dx = rooms[OUT].at,
                                           .dgamma = a->gamma ? rooms[OUT_DGAMMA].at : NULL, .dbeta = rooms[OUT_DBETA].at};
    return fn_batchnorm.inference_backward(&op, a->dtype);
}

static int run_rms_norm(const arguments *a)
{
    const fn_rmsnorm_fwd op = {.m = a->m, .n = a->n, .x = a->x, .gamma = a->gamma, .offset = a->gamma ? 0.5 : 0,
                               .eps = a->eps, .y = rooms[OUT].at, .rstd = rooms[OUT_RSTD].at};
    return fn_rmsnorm.forward(&op, a->dtype);
}

static int run_rms_norm_backward(const arguments *a)
{
    const fn_rmsnorm_bwd op = {.m = a->m, .n = a->n, .dy = a->dy, .x = a->x, .rstd = a->rstd, .gamma = a->gamma,
                               .dx = rooms[OUT].at, .dgamma = a->gamma ? rooms[OUT_DGAMMA].at : NULL};
    return fn_rmsnorm.backward(&op, a->dtype);
}

/* Rows are samples of one position and one group, */
static int run_group_norm(const arguments *a)
{
    const fn_groupnorm_fwd op = {.m = a->m, .p = 1, .c = a->n, .groups = 1, .x = a->x, .gamma = a->gamma, .beta = a->beta,
                                 .eps = a->eps, .y = rooms[OUT].at, .mean = rooms[OUT_MEAN].at, .rstd = rooms[OUT_RSTD].at};
    return fn_groupnorm.forward(&op, a->dtype);
}

static int run_group_norm_backward(const arguments *a)
{
    const fn_groupnorm_bwd op = {.m = a->m, .p = 1, .c = a->n, .groups = 1, .dy = a->dy, .x = a->x, .mean = a->mean,
                                 .rstd = a->rstd, .gamma = a->gamma, .dx = rooms[OUT].at,
                                 .dgamma = a->gamma ? rooms[OUT_DGAMMA].at : NULL, .dbeta = rooms[OUT_DBETA].at};
    return fn_groupnorm.backward(&op, a->dtype);
}

/* or positions of one sample. */
static int run_instance_norm(const arguments *a)
{
    const fn_groupnorm_fwd op = {.m = 1, .p = a->m, .c = a->n, .groups = a->n, .x = a->x, .gamma = a->gamma,
                                 .beta = a->beta, .eps = a->eps, .y = rooms[OUT].at, .mean = rooms[OUT_MEAN].at,
                                 .rstd = rooms[OUT_RSTD].at};
    return fn_groupnorm.forward(&op, a->dtype);
}

static int run_instance_norm_backward(const arguments *a)
{
    const fn_groupnorm_bwd op = {.m = 1, .p = a->m, .c = a->n, .groups = a->n, .dy = a->dy, .x = a->x, .mean = a->mean,
                                 .rstd = a->rstd, .gamma = a->gamma, .dx = rooms[OUT].at,
                                 .dgamma = a->gamma ? rooms[OUT_DGAMMA].at : NULL, .dbeta = rooms[OUT_DBETA].at};
    return fn_groupnorm.backward(&op, a->dtype);
}

static int run_dropout(const arguments *a)
{
    const fn_dropout_op op = {.n = a->m * a->n, .x = a->x, .y = rooms[OUT].at, .scale = 1 / 0.7,
                              .key = {(uint64_t)a->m << 40 | 7, (uint64_t)a->n << 50, 1288490189}};
    return fn_dropout.apply(&op, a->dtype);
}

/* x as a list of its first row and the others. */
static ptrdiff_t cut_in_two(const arguments *a, const void *x, void *y, fn_array *arrays)
{
    const ptrdiff_t bytes = a->n * (a->dtype == FN_FLOAT32 ? 4 : 8);
    arrays[0] = (fn_array){.x = x, .y = y, .n = a->n, .dtype = a->dtype};
    arrays[1] = (fn_array){.x = (const char *)x + bytes, .y = (char *)y + bytes, .n = (a->m - 1) * a->n,
                           .dtype = a->dtype};
    return a->m > 1 ? 2 : 1;
}

static void fill_means(const arguments *a, double value)
{
    for (ptrdiff_t i = 0; i < a->m; i++) ((double *)rooms[OUT_MEAN].at)[i] = value;
}

static int run_elastic_net_penalty(const arguments *a)
{
    static unsigned char weights[MOST_BYTES];
    const fn_penalty op = {FN_PENALTY_L1 | FN_PENALTY_L2, 0.3, 0.7};
    const void *w = a->x;
    fn_array arrays[2];
    double value;
    if (w == rooms[OUT].at)
        w = memcpy(weights, a->x, rooms[OUT].bytes); /* which may not be its gradient */
    else
        memcpy(rooms[OUT].at, a->x, rooms[OUT].bytes);
    const ptrdiff_t count = cut_in_two(a, w, rooms[OUT].at, arrays);
    const int status = fn_penalties.penalty(arrays, count, &op, &value);
    fill_means(a, value);
    return status;
}

static int run_soft_threshold(const arguments *a)
{
    fn_array arrays[2];
    return fn_penalties.soft_threshold(arrays, cut_in_two(a, a->x, rooms[OUT].at, arrays), 0.6);
}

static int run_clip_by_value(const arguments *a)
{
    fn_array arrays[2];
    return fn_clipping.clip_by_value(arrays, cut_in_two(a, a->x, rooms[OUT].at, arrays), -0.8, 0.5);
}

static int run_clip_by_global_norm(const arguments *a)
{
    fn_array arrays[2];
    double norm;
    if (a->x != rooms[OUT].at) memcpy(rooms[OUT].at, a->x, rooms[OUT].bytes);
    const ptrdiff_t count = cut_in_two(a, rooms[OUT].at, rooms[OUT].at, arrays);
    const int status = fn_clipping.clip_by_global_norm(arrays, count, 0.5, &norm);
    fill_means(a, norm);
    return status;
}

static const operation operations[] = {
    {"layer_norm", 1, 0, 0, run_layer_norm, {{"y", OUT, 0}, {"mean", OUT_MEAN, 1}, {"rstd", OUT_RSTD, 1}}},
    {"layer_norm_backward", 1, 1, 1, run_layer_norm_backward,
     {{"dx", OUT, 0}, {"dgamma", OUT_DGAMMA, 0}, {"dbeta", OUT_DBETA, 0}}},
    {"batch_norm", 0, 0, 0, run_batch_norm,
     {{"y", OUT, 0}, {"mean", OUT_MEAN, 1}, {"rstd", OUT_RSTD, 1}, {"m2", OUT_M2, 1}}},
    {"batch_norm_inference", 0, 0, 1, run_batch_norm_inference, {{"y", OUT, 0}}},
    {"batch_norm_backward", 0, 1, 1, run_batch_norm_backward,
     {{"dx", OUT, 0}, {"dgamma", OUT_DGAMMA, 0}, {"dbeta", OUT_DBETA, 0}}},
    {"group_norm", 1, 0, 0, run_group_norm, {{"y", OUT, 0}, {"mean", OUT_MEAN, 1}, {"rstd", OUT_RSTD, 1}}},
    {"group_norm_backward", 1, 1, 1, run_group_norm_backward,
     {{"dx", OUT, 0}, {"dgamma", OUT_DGAMMA, 0}, {"dbeta", OUT_DBETA, 0}}},
    {"instance_norm", 0, 0, 0, run_instance_norm, {{"y", OUT, 0}, {"mean", OUT_MEAN, 1}, {"rstd", OUT_RSTD, 1}}},
    {"instance_norm_backward", 0, 1, 1, run_instance_norm_backward,
     {{"dx", OUT, 0}, {"dgamma", OUT_DGAMMA, 0}, {"dbeta", OUT_DBETA, 0}}},
    {"dropout", 1, 0, 0, run_dropout, {{"y", OUT, 0}}},
    {"elastic_net_penalty", 1, 0, 0, run_elastic_net_penalty, {{"grad", OUT, 0}, {"value", OUT_MEAN, 1}}},
    {"soft_threshold", 1, 0, 0, run_soft_threshold, {{"y", OUT, 0}}},
    {"clip_by_value", 1, 0, 0, run_clip_by_value, {{"y", OUT, 0}}},
    {"clip_by_global_norm", 1, 0, 0, run_clip_by_global_norm, {{"x", OUT, 0}, {"norm", OUT_MEAN, 1}}},
    {"rms_norm", 1, 0, 0, run_rms_norm, {{"y", OUT, 0}, {"rstd", OUT_RSTD, 1}}},
    {"rms_norm_backward", 1, 1, 1, run_rms_norm_backward, {{"dx", OUT, 0}, {"dgamma", OUT_DGAMMA, 0}}},
    {"batch_norm_inference_backward", 0, 1, 1, run_batch_norm_inference_backward,
     {{"dx", OUT, 0}, {"dgamma", OUT_DGAMMA, 0}, {"dbeta", OUT_DBETA, 0}}},
};

/* ---- results ----------------------------------------------------------------------------------------------------- */

static uint64_t hash = 0xCBF29CE484222325u, values;
static long drawn, every = 1, cases, mismatches;
static char what[400]; /* is being done, for messages */

static void complain(const char *format, ...)
{
    if (mismatches++ >= 25) return;
    va_list list;
    va_start(list, format);
    printf("MISMATCH %s: ", what);
    vprintf(format, list);
    va_end(list);
}

/* The bits of a value, all NaNs being one. */
static uint64_t bits_of(const void *array, ptrdiff_t i, int is_double)
{
    uint32_t narrow;
    uint64_t bits;
    if (is_double) {
        memcpy(&bits, (const char *)array + i * 8, 8);
        return (bits & 0x7FFFFFFFFFFFFFFFu) > 0x7FF0000000000000u ? 0x7FF8000000000000u : bits;
    }
    memcpy(&narrow, (const char *)array + i * 4, 4);
    return (narrow & 0x7FFFFFFFu) > 0x7F800000u ? 0x7FC00000u : narrow;
}

static void hash_output(const room *r, int is_double)
{
    const ptrdiff_t count = (ptrdiff_t)(r->bytes / (is_double ? 8 : 4));
    for (ptrdiff_t i = 0; i < count; i++) {
        hash = (hash ^ bits_of(r->at, i, is_double)) * 0x100000001B3u;
        hash ^= hash >> 29;
    }
    values += (uint64_t)count;
}

static void compare_output(const char *name, const room *r, const void *expected, int is_double)
{
    const ptrdiff_t count = (ptrdiff_t)(r->bytes / (is_double ? 8 : 4));
    ptrdiff_t first = -1, wrong = 0;
    if (!memcmp(r->at, expected, r->bytes)) return;
    for (ptrdiff_t i = 0; i < count; i++)
        if (bits_of(r->at, i, is_double) != bits_of(expected, i, is_double)) {
            if (first < 0) first = i;
            wrong++;
        }
    if (!wrong) return;
    complain("%s: %td of %td wrong, first at %td: 0x%llx, baseline 0x%llx\n", name, wrong, count, first,
             (unsigned long long)bits_of(r->at, first, is_double),
             (unsigned long long)bits_of(expected, first, is_double));
}

/* Runs an operation with every table and in every place; the fresh baseline result is what the others are held to. */
static void check_operation(const operation *o, const arguments *given, const char *description)
{
    static unsigned char expected[4][MOST_BYTES];
    const int is_double = given->dtype == FN_FLOAT64;
    for (int isa = 0; isa < fn_isa_count(); isa++)
        for (int where = FRESH; where <= (o->backward ? OVER_DY : OVER_X); where++) {
            const int first = isa == 0 && where == FRESH;
            arguments a = *given;
            snprintf(what, sizeof what, "%s %s %s, %s", fn_isa_name(isa), o->name, place_names[where], description);
            for (int k = 0; k < 4 && o->outputs[k].name; k++) /* what nobody writes has to differ */
                memset(rooms[o->outputs[k].room].at, first ? PATTERN_BASELINE : PATTERN_OTHER,
                       rooms[o->outputs[k].room].bytes);
            if (where == OVER_X) a.x = memcpy(rooms[OUT].at, given->x, rooms[OUT].bytes);
            if (where == OVER_DY) a.dy = memcpy(rooms[OUT].at, given->dy, rooms[OUT].bytes);
            check_stream_bytes = where == STREAMED ? 0 : PTRDIFF_MAX;
            fn_isa_use(isa);
            if (o->run(&a)) give_up(what);
            for (int k = 0; k < 4 && o->outputs[k].name; k++) {
                const output *out = &o->outputs[k];
                const int doubles = out->is_double || is_double;
                if (out->room == OUT_DGAMMA && !a.gamma) continue;
                if (first) {
                    hash_output(&rooms[out->room], doubles);
                    memcpy(expected[k], rooms[out->room].at, rooms[out->room].bytes);
                } else {
                    compare_output(out->name, &rooms[out->room], expected[k], doubles);
                }
            }
            if (!canaries_alive()) complain("wrote before the start of an array\n");
        }
}

static void fill_reals(int i, fn_dtype dtype, ptrdiff_t rows, ptrdiff_t columns, data_kind kind)
{
    const size_t item_bytes = dtype == FN_FLOAT32 ? 4 : 8;
    void *to = make_room(i, rows * columns, item_bytes);
    for (ptrdiff_t k = 0; k < rows * columns; k++) {
        const double value = draw(kind, dtype, k / columns, k % columns);
        if (dtype == FN_FLOAT32)
            ((float *)to)[k] = (float)value;
        else
            ((double *)to)[k] = value;
    }
}

/* Statistics for an operation that takes them: those of x as a rule, else wild ones. */
static void fill_statistics(const arguments *a, int of_rows, int as_variances, int wild)
{
    const ptrdiff_t count = of_rows ? a->m : a->n, terms = of_rows ? a->n : a->m;
    double *mean = make_room(MEAN, count, sizeof(double)), *rstd = make_room(RSTD, count, sizeof(double));
    for (ptrdiff_t i = 0; i < count; i++) {
        double sum = 0, squares = 0;
        for (ptrdiff_t k = 0; k < terms; k++) {
            const ptrdiff_t at = of_rows ? i * a->n + k : k * a->n + i;
            const double v = a->dtype == FN_FLOAT32 ? (double)((const float *)a->x)[at] : ((const double *)a->x)[at];
            sum += v;
            squares += v * v;
        }
        sum /= (double)terms;
        squares = squares / (double)terms - sum * sum;
        if (!(squares > 0)) squares = 0;
        mean[i] = sum;
        rstd[i] = as_variances ? squares : 1 / sqrt(squares + a->eps);
        if (!wild || below(3)) continue;
        const double wild_values[] = {0, -0.0, 1, -1, 1e-30, 1e30, 1e-45, 1e45, 1e300, 1e-300, 3e-6, (double)NAN,
                                      (double)INFINITY, 0x1p-40, 0x1p20};
        mean[i] = wild_values[below(COUNT_OF(wild_values))];
        rstd[i] = wild_values[below(COUNT_OF(wild_values))];
    }
}

static void check(fn_dtype dtype, ptrdiff_t m, ptrdiff_t n, data_kind kind)
{
    if (drawn++ % every) return;
    static const double epsilons[] = {1e-5, 1e-5, 1e-5, 1e-3, 0, 1e-12, 1e-31, 1e-45};
    const data_kind kind_dy = below(3) ? PLAIN : (data_kind)below(KINDS);
    const data_kind kind_gamma = below(4) ? PLAIN : (data_kind)below(KINDS);
    const int parts = below(4), wild = !below(6);
    char description[240];
    arguments a = {.dtype = dtype, .m = m, .n = n, .eps = epsilons[below(COUNT_OF(epsilons))]};

    in_arenas = (int)(cases++ % 2);
    fill_reals(X, dtype, m, n, kind);
    fill_reals(DY, dtype, m, n, kind_dy);
    fill_reals(GAMMA, dtype, 1, n, kind_gamma);
    fill_reals(BETA, dtype, 1, n, kind_gamma);
    a.x = rooms[X].at;
    a.dy = rooms[DY].at;
    a.gamma = parts & 1 ? rooms[GAMMA].at : NULL;
    a.beta = parts & 2 ? rooms[BETA].at : NULL;

    const size_t item_bytes = dtype == FN_FLOAT32 ? 4 : 8;
    make_room(OUT, m * n, item_bytes);
    make_room(OUT_DGAMMA, n, item_bytes);
    make_room(OUT_DBETA, n, item_bytes);
    snprintf(description, sizeof description, "%s, m %td, n %td, x %s, dy %s, gamma %s, beta %s, eps %g, %s, %s",
             dtype == FN_FLOAT32 ? "float32" : "float64", m, n, kind_names[kind], kind_names[kind_dy],
             a.gamma ? kind_names[kind_gamma] : "none", a.beta ? kind_names[kind_gamma] : "none", a.eps,
             wild ? "wild statistics" : "its own statistics", in_arenas ? "in arenas" : "in blocks");

    for (int i = 0; i < COUNT_OF(operations); i++) {
        const operation *o = &operations[i];
        const ptrdiff_t count = o->rows ? m : n;
        static const int own[] = {MEAN, RSTD, OUT_MEAN, OUT_RSTD, OUT_M2};
        if (o->given) {
            fill_statistics(&a, o->rows, !o->backward, wild);
            a.mean = rooms[MEAN].at;
            a.rstd = rooms[RSTD].at;
        } else {
            for (int k = 2; k < COUNT_OF(own); k++) make_room(own[k], count, sizeof(double));
        }
        check_operation(o, &a, description);
        for (int k = 0; k < COUNT_OF(own); k++) {
            free(rooms[own[k]].block);
            rooms[own[k]] = (room){0};
        }
    }
    clear_rooms();
}

/* ---- running statistics: no table has a part in them, but the hash has ------------------------------------------- */

static void hash_running_statistics(void)
{
    for (int i = 0; i < 4000; i++) {
        const fn_dtype dtype = (fn_dtype)(i % FN_DTYPES);
        const data_kind kind = (data_kind)below(KINDS);
        in_arenas = 0;
        fill_reals(OUT, dtype, 1, 3, kind);
        fill_reals(MEAN, FN_FLOAT64, 1, 3, below(2) ? kind : PLAIN);
        fn_batchnorm.update_running(rooms[OUT].at, rooms[MEAN].at, 3, uniform(), dtype);
        hash_output(&rooms[OUT], dtype == FN_FLOAT64);
        clear_rooms();
    }
}

/* ---- all cases --------------------------------------------------------------------------------------------------- */

static void check_dtype(fn_dtype dtype)
{
    static const int ends[] = {127, 128, 129, 255, 256, 257, 511, 512, 513, 1023, 1024, 1025, 4097};
    static const int narrow[] = {1, 2, 3, 5, 7, 8, 9, 12, 15, 16, 17, 24, 31, 33, 64, 100, 257};
    static const int tall[] = {41, 63, 64, 65, 127, 128, 129, 256, 300, 1000, 2049, 5000};
    /* every length, with every kind of data */
    for (int n = 1; n <= 70; n++)
        for (int kind = 0; kind < KINDS; kind++) check(dtype, 1 + below(40), n, (data_kind)kind);
    for (int i = 0; i < COUNT_OF(ends); i++)
        for (int kind = 0; kind < KINDS; kind++)
            check(dtype, 1 + below(ends[i] > 2000 ? 9 : 40), ends[i], (data_kind)kind);
    /* every small number of rows, with every lane count around the registers and units */
    for (int m = 1; m <= 40; m++)
        for (int i = 0; i < COUNT_OF(narrow); i++) check(dtype, m, narrow[i], (data_kind)below(KINDS));
    /* many rows: groups, chunks, folds and slabs */
    for (int i = 0; i < COUNT_OF(tall); i++)
        for (int k = 0; k < COUNT_OF(narrow); k++)
            if (tall[i] * narrow[k] < 150000) check(dtype, tall[i], narrow[k], (data_kind)below(KINDS));
    /* a slab is 128 KiB, long rows have groups of their own */
    check(dtype, 700, 131, PLAIN);
    check(dtype, 700, 131, MIXED_COLUMNS);
    check(dtype, 301, 530, PLAIN);
    check(dtype, 301, 530, MIXED_ROWS);
    check(dtype, 11, 8192, PLAIN);
    check(dtype, 11, 9001, PLAIN);
    check(dtype, 11, 9001, MIXED_COLUMNS);
    check(dtype, 2, 70001, HUGE_MEAN);
    check(dtype, 3, 70001, MIXED_ROWS);
}

static void on_crash(int signal_number)
{
    static const char text[] = "crashed: ";
    (void)!write(2, text, sizeof text - 1);
    (void)!write(2, what, strlen(what));
    (void)!write(2, "\n", 1);
    signal(signal_number, SIG_DFL);
    raise(signal_number);
}

int main(int argc, char **argv)
{
    fn_cpu_features features = fn_cpu_detect();
    int guarded = 1;
    for (int i = 1; i < argc; i++) {
        if (!strncmp(argv[i], "every=", 6)) every = strtol(argv[i] + 6, NULL, 10);
        if (!strcmp(argv[i], "unguarded")) guarded = 0;
        if (!strcmp(argv[i], "avx2")) features.avx2 = 1;
        if (!strcmp(argv[i], "avx512")) features.avx512 = 1;
    }
    if (every < 1) every = 1;
    fn_dispatch_init(features);
    signal(SIGILL, on_crash);
    signal(SIGBUS, on_crash);
    signal(SIGSEGV, on_crash);
    make_arenas(guarded);
    check_dtype(FN_FLOAT32);
    check_dtype(FN_FLOAT64);
    hash_running_statistics();
    printf("%ld cases of", cases);
    for (int i = 0; i < fn_isa_count(); i++) printf(" %s", fn_isa_name(i));
    printf(": %ld mismatches; baseline %016llx (%llu values)\n", mismatches, (unsigned long long)hash,
           (unsigned long long)values);
    return mismatches != 0;
}
