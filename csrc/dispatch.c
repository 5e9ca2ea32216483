#include "dispatch.h"

extern const fn_isa fn_isa_baseline;
#if defined(__x86_64__)
extern const fn_isa fn_isa_avx2, fn_isa_avx512;
#elif defined(__aarch64__)
extern const fn_isa fn_isa_neon;
#endif

enum { MAX_ISAS = 3 };

static const fn_isa *available[MAX_ISAS] = {&fn_isa_baseline};
static int count = 1;
static int current = 0;

void fn_dispatch_init(fn_cpu_features enabled)
{
    count = 1;
#if defined(__x86_64__)
    if (enabled.avx2) available[count++] = &fn_isa_avx2;
    if (enabled.avx512) available[count++] = &fn_isa_avx512;
#elif defined(__aarch64__)
    if (enabled.neon) available[count++] = &fn_isa_neon;
#else
    (void)enabled;
#endif
    current = count - 1;
}

int fn_isa_count(void) { return count; }
const char *fn_isa_name(int i) { return available[i]->name; }
int fn_isa_current(void) { return current; }
void fn_isa_use(int i) { current = i; }
const fn_kernels *fn_kernels_for(fn_dtype dtype) { return &available[current]->dtypes[dtype]; }
