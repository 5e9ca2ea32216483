/* The ISAs that this processor can run, worst first, and the kernels of the one in use. */
#ifndef FN_DISPATCH_H
#define FN_DISPATCH_H

#include "cpu.h"
#include "fastnorm.h"

/* Chooses the best ISA that `enabled` allows. Call once, before any kernel. */
void fn_dispatch_init(fn_cpu_features enabled);

int fn_isa_count(void);
const char *fn_isa_name(int i);

/* The ISA in use; fn_isa_use changes it, 0 <= i < fn_isa_count(). */
int fn_isa_current(void);
void fn_isa_use(int i);

/* FN_TABLES(layernorm) defines layernorm_kernels(dtype): the kernels of a family on the ISA in use. */
#define FN_TABLES(family)                                                                                              \
    FN_EVERY_ISA(FN_DECLARE_TABLE, fn_##family)                                                                        \
    static inline const fn_##family##_kernels *family##_kernels(fn_dtype dtype)                                        \
    {                                                                                                                  \
        static const fn_##family##_kernels *const tables[] = {FN_EVERY_ISA(FN_NAME_TABLE, fn_##family)};               \
        return &tables[fn_isa_current()][dtype];                                                                       \
    }
#define FN_DECLARE_TABLE(family, isa) extern const family##_kernels family##_##isa[FN_DTYPES];
#define FN_NAME_TABLE(family, isa) family##_##isa,

/* What this build has, each ISA running all that those before it do. */
#if defined(__x86_64__)
#define FN_EVERY_ISA(what, family) what(family, baseline) what(family, avx2) what(family, avx512)
#elif defined(__aarch64__)
#define FN_EVERY_ISA(what, family) what(family, baseline) what(family, neon)
#else
#define FN_EVERY_ISA(what, family) what(family, baseline)
#endif

#endif
