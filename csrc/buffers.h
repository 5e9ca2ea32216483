/*
 * Large blocks of memory that are kept for the next one who asks: memory that the process already has costs no page
 * faults, which are most of the price of a large fresh result.
 *
 * Plain C, no Python: every function here may be called from any thread, with or without the GIL, in a chunk of
 * fn_parallel_for too, and at any time, the end of the interpreter included.
 */
#ifndef FN_BUFFERS_H
#define FN_BUFFERS_H

#include <stddef.h>

enum {
    /*
     * From this size on a freed block is kept. From here on glibc maps fresh pages: a LayerNorm call took 5 to 10 times
     * as long with them where a dozen results were alive at a time, up to 1.7 times where each died before the next.
     * Below, glibc's heap is as good as the cache.
     */
    FN_BUFFER_BYTES = 1 << 17,
    FN_BUFFER_ALIGN = 64,
};

/*
 * At least `size` bytes, aligned to FN_BUFFER_ALIGN, their contents undefined; NULL if there is no memory, after all
 * idle blocks have been given up for it. Smaller sizes than FN_BUFFER_BYTES are right too, but take the way of malloc.
 */
void *fn_buffer_alloc(size_t size);

/* Like realloc: the same contents up to the smaller size, moved or not; NULL leaves the block as it was. */
void *fn_buffer_resize(void *memory, size_t size);

/* Takes back what fn_buffer_alloc or fn_buffer_resize returned, or NULL. Which thread asked for it does not matter. */
void fn_buffer_free(void *memory);

/*
 * The bytes that idle blocks may hold together, headers included; 0 keeps none. Idle blocks beyond a new limit go at
 * once, those longest unused first. Where nothing can be kept (under AddressSanitizer, which could not see a result
 * used after its end, or without fork handlers) the limit stays 0.
 */
void fn_buffer_set_limit(size_t bytes);
size_t fn_buffer_limit(void);

/* Gives all idle blocks back to the system. */
void fn_buffer_empty(void);

typedef struct {
    size_t limit, idle_bytes;
    size_t idle_blocks;
    unsigned long long hits, misses; /* large requests that an idle block answered, and those that none did */
} fn_buffer_figures;

/* What holds at one moment: idle_bytes <= limit. */
fn_buffer_figures fn_buffer_look(void);

/*
 * Call once the library is loaded; further calls do nothing, and until then nothing is kept. Sets the limit to 1 GiB or
 * 1/8 of the memory of the machine or of the cgroup, whichever is least, and installs the fork handlers: the child
 * keeps the blocks that are in use, and none that are idle.
 *
 * Before fn_parallel_init: handlers run latest first, so that a fork waits for the chunks at work before it takes the
 * lock that they may need.
 */
void fn_buffer_init(void);

#endif
