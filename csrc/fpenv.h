/*
 * The default floating-point environment: round to nearest, subnormals kept,
 * every exception masked.
 *
 *     fn_fpenv saved = fn_fp_default();
 *     kernel(...);
 *     fn_fp_restore(saved);
 *
 * Both are cheap when the caller already runs in the default environment (one
 * read and one compare each), so that kernels on tiny arrays can afford them.
 * Exception flags are sticky as in ordinary C arithmetic: what a kernel raises
 * stays raised. (The fenv.h route of other processors puts the old flags back.)
 *
 * Compilers may move arithmetic across these two, so the arithmetic has to sit
 * behind a call that they cannot see into: a function pointer, or another
 * translation unit.
 *
 * The only inline assembly of the pool is here: aarch64 has no portable way to
 * its control register that does not cost two library calls.
 */
#ifndef FN_FPENV_H
#define FN_FPENV_H

#include <stdint.h>

#if defined(__SSE2__)

#include <xmmintrin.h>

typedef unsigned int fn_fpenv;

enum { FN_MXCSR_FLAGS = 0x003f, FN_MXCSR_DEFAULT = 0x1f80 };

static inline fn_fpenv fn_fp_default(void)
{
    const fn_fpenv saved = _mm_getcsr();
    const fn_fpenv flags = saved & FN_MXCSR_FLAGS;
    if ((saved ^ flags) != FN_MXCSR_DEFAULT) _mm_setcsr(FN_MXCSR_DEFAULT | flags);
    return saved;
}

static inline void fn_fp_restore(fn_fpenv saved)
{
    if ((saved & ~(fn_fpenv)FN_MXCSR_FLAGS) != FN_MXCSR_DEFAULT) _mm_setcsr(saved | (_mm_getcsr() & FN_MXCSR_FLAGS));
}

#elif defined(__aarch64__)

typedef uint64_t fn_fpenv;

static inline void fn_fp_write_fpcr(fn_fpenv value) { __asm__ volatile("msr fpcr, %0" : : "r"(value) : "memory"); }

static inline fn_fpenv fn_fp_default(void)
{
    fn_fpenv saved;
    __asm__ volatile("mrs %0, fpcr" : "=r"(saved) : : "memory");
    if (saved != 0) fn_fp_write_fpcr(0);
    return saved;
}

static inline void fn_fp_restore(fn_fpenv saved)
{
    if (saved != 0) fn_fp_write_fpcr(saved);
}

#else

#include <fenv.h>

typedef fenv_t fn_fpenv;

static inline fn_fpenv fn_fp_default(void)
{
    fn_fpenv saved;
    (void)fegetenv(&saved);
    (void)fesetenv(FE_DFL_ENV);
    return saved;
}

static inline void fn_fp_restore(fn_fpenv saved) { (void)fesetenv(&saved); }

#endif

#endif
