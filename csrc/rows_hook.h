/* What else is done to rows beside a normalization, while they are in the cache: on the thread that has these rows. */
#ifndef FN_ROWS_HOOK_H
#define FN_ROWS_HOOK_H

#include <stddef.h>

typedef struct {
    void (*call)(const void *arg, ptrdiff_t begin, ptrdiff_t end); /* rows [begin, end) */
    const void *arg;
    ptrdiff_t bytes; /* of memory that all rows take beside what the normalization itself takes */
} fn_rows_hook;

#endif
