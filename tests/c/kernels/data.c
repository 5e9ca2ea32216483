/* Random data. */
#include "kernels.h"

/* ---- random numbers: the same on every machine ------------------------------------------------------------------- */

static uint64_t random_state = 1;

uint64_t random_bits(void) /* splitmix64 (Steele, Lea & Flood 2014) */
{
    uint64_t z = random_state += 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

int below(int n) { return (int)(random_bits() % (uint64_t)n); }
double uniform(void) { return (double)(random_bits() >> 11) * 0x1p-53; }

/* Near enough to a normal deviate; never beyond 3.5. */
static double normal(void)
{
    const double a = uniform(), b = uniform(), c = uniform(), d = uniform();
    return (((a + b) + (c + d)) - 2) * 1.7320508075688772;
}

/* ---- data -------------------------------------------------------------------------------------------------------- */

const char *const kind_names[KINDS] = {
    "plain",        "huge mean", "huger mean",  "constant", "constant rows", "constant columns",
    "zeros",        "integers",  "outliers",    "cauchy",   "scales",        "small",
    "tiny",         "large",     "overflowing", "special",  "mostly nan",    "mixed rows",
    "mixed columns"};

static double special(void)
{
    switch (below(3)) {
    case 0: return (double)NAN;
    case 1: return (double)INFINITY;
    default: return -(double)INFINITY;
    }
}

double draw(data_kind kind, fn_dtype dtype, ptrdiff_t row, ptrdiff_t column)
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
