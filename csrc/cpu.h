/* What the processor and the operating system offer. */
#ifndef FN_CPU_H
#define FN_CPU_H

#include <stddef.h>

typedef struct {
    int avx2;   /* AVX2, FMA and F16C, with the operating system saving their registers */
    int avx512; /* AVX-512 F, VL, BW and DQ, likewise */
    int neon;
} fn_cpu_features;

fn_cpu_features fn_cpu_detect(void);

/* Bytes of the largest cache that a core can use, 0 if unknown. */
size_t fn_cpu_last_cache_bytes(void);

#endif
