#include "cpu.h"

#include <stdio.h>

#if defined(__x86_64__) || defined(__i386__)
#include <cpuid.h>

/* XCR0: which registers the operating system saves. xgetbv is spelled out because its intrinsic needs -mxsave. */
static unsigned int enabled_state(void)
{
    unsigned int low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low;
}

fn_cpu_features fn_cpu_detect(void)
{
    enum { YMM = 0x6, ZMM = 0xE6 };
    fn_cpu_features features = {0, 0, 0};
    unsigned int a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE)) return features;
    const int fma_f16c = (c & bit_AVX) && (c & bit_FMA) && (c & bit_F16C);
    const unsigned int state = enabled_state();
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return features;
    features.avx2 = fma_f16c && (b & bit_AVX2) && (state & YMM) == YMM;
    features.avx512 = features.avx2 && (b & bit_AVX512F) && (b & bit_AVX512VL) && (b & bit_AVX512BW) &&
                      (b & bit_AVX512DQ) && (state & ZMM) == ZMM;
    return features;
}

#else

fn_cpu_features fn_cpu_detect(void)
{
    fn_cpu_features features = {0, 0, 0};
#if defined(__aarch64__)
    features.neon = 1; /* part of the architecture */
#endif
    return features;
}

#endif

/* From the kernel's tables: glibc's sysconf adds up the caches of a whole package on some processors. */
size_t fn_cpu_last_cache_bytes(void)
{
    size_t best = 0;
    for (int level = 2; level <= 3; level++) {
        char path[64];
        unsigned long kilobytes = 0;
        (void)snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu0/cache/index%d/size", level);
        FILE *file = fopen(path, "r");
        if (!file) continue;
        if (fscanf(file, "%luK", &kilobytes) == 1 && kilobytes * 1024 > best) best = kilobytes * 1024;
        (void)fclose(file);
    }
    return best;
}
