/* The one place for syntax beyond C11: what GCC and Clang offer and the kernels need. */
#ifndef FN_COMPILER_H
#define FN_COMPILER_H

#if defined(__GNUC__) || defined(__clang__)
#ifdef FN_PLAIN_INLINE
#define FN_INLINE static inline
#else
#define FN_INLINE static inline __attribute__((always_inline))
#endif
#define FN_NOINLINE __attribute__((noinline))
/* Rarely called: as little code as possible. */
#define FN_COLD __attribute__((noinline, cold))
#define FN_UNLIKELY(condition) __builtin_expect(!!(condition), 0)
/* p, of which Clang does not know that it is p: a load of half a register that follows one of all of it is pieced together
 * element by element otherwise. */
#ifdef __clang__
static inline const void *fn_unrelated(const void *p)
{
    __asm__("" : "+r"(p));
    return p;
}
#define FN_UNRELATED(p) fn_unrelated(p)
#else
#define FN_UNRELATED(p) (p)
#endif
/* The loop that follows, of a constant number of turns at most 16, is written out, whatever the flags say: not for an ISA that
 * has defined it as nothing. */
#ifndef FN_UNROLL
#define FN_UNROLL _Pragma("GCC unroll 16")
#endif
/* Into the second-level cache, for reading; any address will do. Into the first. */
#define FN_PREFETCH(p) __builtin_prefetch((const void *)(p), 0, 2)
#define FN_PREFETCH_NEAR(p) __builtin_prefetch((const void *)(p), 0, 3)
#else
#define FN_INLINE static inline
#define FN_NOINLINE
#define FN_COLD
#define FN_UNLIKELY(condition) (condition)
#define FN_UNRELATED(p) (p)
#define FN_UNROLL
#define FN_PREFETCH(p) ((void)(p))
#define FN_PREFETCH_NEAR(p) ((void)(p))
#endif

#endif
