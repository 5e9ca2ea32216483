#include "dispatch.h"

#define FN_NAME_ISA(family, isa) #isa,

static const char *const names[] = {FN_EVERY_ISA(FN_NAME_ISA, )};
static int count = 1;
static int current = 0;

void fn_dispatch_init(fn_cpu_features enabled)
{
    count = 1;
#if defined(__x86_64__)
    if (enabled.avx2) count = enabled.avx512 ? 3 : 2;
#elif defined(__aarch64__)
    if (enabled.neon) count = 2;
#else
    (void)enabled;
#endif
    current = count - 1;
}

int fn_isa_count(void) { return count; }
const char *fn_isa_name(int i) { return names[i]; }
int fn_isa_current(void) { return current; }
void fn_isa_use(int i) { current = i; }
