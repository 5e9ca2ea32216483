/* CHECK: what the C programs here find wrong is printed and counted; the count is their exit status. */
#ifndef FN_CHECK_H
#define FN_CHECK_H

#include <stdatomic.h>
#include <stdio.h>

static atomic_int failures;

#define CHECK(condition)                                                              \
    do {                                                                              \
        if (!(condition)) {                                                           \
            fprintf(stderr, "%s:%d: failed: %s\n", __FILE__, __LINE__, #condition);   \
            atomic_fetch_add(&failures, 1);                                           \
        }                                                                             \
    } while (0)

#endif
