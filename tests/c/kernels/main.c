/* Checks that every kernel table gives the bits of the baseline:
 *
 *     check [every=<k>] [unguarded] [forced table ...]
 *
 * every=<k> takes one case in k, but all of the activations; unguarded is for emulators that read what a masked load leaves out.
 *
 * Draws arrays, runs every operation with the baseline table and with every other table that this processor can run or
 * that is named on the command line (for tables that were compiled to an emulation), and compares the results; NaN
 * equals any NaN. Prints each mismatch, and a hash of all baseline results, which has to be the same on every
 * architecture; the exit status says whether there was a mismatch. emulate.sh builds it, of all files here, and runs it
 * in every way there is.
 *
 * Half of the arrays end at a page that must not be touched, the others are blocks of malloc of just their size: the
 * first kind stops vector instructions that sanitizers do not see, the second is for the sanitizers. Nothing here may
 * depend on a mathematical library, or the hash would. */
#include "kernels.h"

#include <signal.h>
#include <stdarg.h>
#include <unistd.h>

#include "../../../csrc/batchnorm.h"
#include "../../../csrc/cpu.h"
#include "../../../csrc/dispatch.h"

/* ---- results ----------------------------------------------------------------------------------------------------- */

/* Size of results that drivers write past the cache, if they were compiled with FN_STREAM_BYTES defined to this name:
 * arrays of the real size would take too long. */
ptrdiff_t check_stream_bytes = PTRDIFF_MAX;

enum { PATTERN_BASELINE = 0xA5, PATTERN_OTHER = 0x5A };

typedef enum { FRESH, STREAMED, OVER_X, OVER_DY, PLACES } place;

static const char *const place_names[PLACES] = {"fresh", "streamed", "over x", "over dy"};

static uint64_t hash = 0xCBF29CE484222325u, values;
static long drawn, every = 1, mismatches;
long cases;
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

void hash_output(const room *r, int is_double)
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
void check_operation(const operation *o, const arguments *given, const char *description)
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

/* ---- one case ---------------------------------------------------------------------------------------------------- */

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
        const double wild_values[] = {
            0,       -0.0,  1, -1, 1e-30, 1e30, 1e-45, 1e45, 1e300, 1e-300, 3e-6, (double)NAN, (double)INFINITY,
            0x1p-40, 0x1p20};
        mean[i] = wild_values[below(COUNT_OF(wild_values))];
        rstd[i] = wild_values[below(COUNT_OF(wild_values))];
    }
}

/* Makes rooms for the statistics that the operation takes or gives. */
static void check_with_statistics(const operation *o, arguments *a, int wild, const char *description)
{
    static const int own[] = {MEAN, RSTD, OUT_MEAN, OUT_RSTD, OUT_M2};
    if (o->given) {
        fill_statistics(a, o->rows, !o->backward, wild);
        a->mean = rooms[MEAN].at;
        a->rstd = rooms[RSTD].at;
    } else {
        for (int k = 2; k < COUNT_OF(own); k++) make_room(own[k], o->rows ? a->m : a->n, sizeof(double));
    }
    check_operation(o, a, description);
    for (int k = 0; k < COUNT_OF(own); k++) clear_room(own[k]);
}

static const operation *const families[] = {layernorm_operations, batchnorm_operations, rmsnorm_operations,
                                            groupnorm_operations, addnorm_operations,   dropout_operations,
                                            penalties_operations, clipping_operations,  half_operations};

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
    for (int i = OUT; i <= OUT_SUM; i++) make_room(i, m * n, item_bytes);
    make_room(OUT_DGAMMA, n, item_bytes);
    make_room(OUT_DBETA, n, item_bytes);
    snprintf(description, sizeof description, "%s, m %td, n %td, x %s, dy %s, gamma %s, beta %s, eps %g, %s, %s",
             dtype == FN_FLOAT32 ? "float32" : "float64", m, n, kind_names[kind], kind_names[kind_dy],
             a.gamma ? kind_names[kind_gamma] : "none", a.beta ? kind_names[kind_gamma] : "none", a.eps,
             wild ? "wild statistics" : "its own statistics", in_arenas ? "in arenas" : "in blocks");

    for (int family = 0; family < COUNT_OF(families); family++)
        for (const operation *o = families[family]; o->name; o++) check_with_statistics(o, &a, wild, description);
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
    check_activations(FN_FLOAT32);
    check_activations(FN_FLOAT64);
    printf("%ld cases of", cases);
    for (int i = 0; i < fn_isa_count(); i++) printf(" %s", fn_isa_name(i));
    printf(": %ld mismatches; baseline %016llx (%llu values)\n", mismatches, (unsigned long long)hash,
           (unsigned long long)values);
    return mismatches != 0;
}
