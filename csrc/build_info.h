/* Which compiler built this. */
#ifndef FN_BUILD_INFO_H
#define FN_BUILD_INFO_H

#if defined(__clang__)
#define FN_COMPILER "clang " __clang_version__
#elif defined(__GNUC__)
#define FN_COMPILER "gcc " __VERSION__
#else
#define FN_COMPILER "unknown"
#endif

#endif
