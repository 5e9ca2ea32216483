/*
 * The cache of large blocks.
 *
 * A block is a mapping of its own: a header, then the bytes that were asked for. Freed, it waits in a table ordered by
 * the time of its last use. A request takes the smallest idle block that fits it and is not much larger, the most
 * recently used among equals (it may still be in the processor's caches); where none is, it maps a new one. What comes
 * back beyond the limit pushes out what has waited longest.
 *
 * The table holds sizes beside pointers: a search reads a few lines of memory, and no block that may be far away. In
 * practice it ends at the first entry or two, since programs ask for the same sizes over and over.
 *
 * Small blocks are malloc's, with the same header, and never kept. NumPy asks for those when a result is shrunk.
 *
 * One lock, held for table work only: mapping and unmapping, which can take milliseconds, are done outside.
 */
#define _DEFAULT_SOURCE 1 /* MAP_ANONYMOUS, madvise */

#include "buffers.h"

#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* AddressSanitizer and MemorySanitizer know only of memory that really goes. A test may define it from outside. */
#ifndef FN_KEEP_BUFFERS
#if defined(__SANITIZE_ADDRESS__)
#define FN_KEEP_BUFFERS 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(memory_sanitizer)
#define FN_KEEP_BUFFERS 0
#endif
#endif
#endif
#ifndef FN_KEEP_BUFFERS
#define FN_KEEP_BUFFERS 1
#endif

#ifndef MAP_ANONYMOUS
#define MAP_ANONYMOUS MAP_ANON
#endif

enum {
    MAX_IDLE = 1024,
    HUGE_PAGE = 2 << 20,
    /*
     * From the start of a mapping to the memory handed out. Large arrays of NumPy begin 16 bytes into a page. A result
     * that began shortly behind that, in a page of its own, would be written where, to a processor that compares the
     * low 12 bits of addresses first, the next reads of the input seem to be. A few hundred bytes before it, those reads
     * are over, in this row and in others of a length that divides a page.
     */
    HEAD = 4096 - 512,
};

static const unsigned long long MOST_BYTES_BY_DEFAULT = 1ull << 30;
static const unsigned long long SHARE_OF_MEMORY_BY_DEFAULT = 8;

/* Ends where the memory handed out begins. Sizes are believed from here alone, never from who frees the block: of an
   array NumPy tells the nominal size of that moment. */
struct block {
    _Alignas(FN_BUFFER_ALIGN) size_t capacity; /* bytes behind the header */
    size_t mapped;                             /* length of the mapping; 0: the block is malloc's */
    struct block *next;                        /* in a list of blocks to be unmapped */
};

struct idle {
    size_t capacity;
    struct block *block;
};

static struct {
    pthread_mutex_t lock;
    atomic_size_t limit; /* written under the lock */
    bool ready;          /* fork handlers installed */
    size_t idle_bytes;
    size_t count;
    struct idle idle[MAX_IDLE]; /* longest unused first */
    unsigned long long hits, misses;
} cache = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* ---- Blocks */

static struct block *block_of(void *memory) { return (struct block *)memory - 1; }

static void *memory_of(struct block *block) { return block + 1; }

static struct block *new_small(size_t size)
{
    const size_t bytes = sizeof(struct block) + (size + FN_BUFFER_ALIGN - 1) / FN_BUFFER_ALIGN * FN_BUFFER_ALIGN;
    struct block *block = aligned_alloc(FN_BUFFER_ALIGN, bytes);
    if (block == NULL) return NULL;
    block->capacity = bytes - sizeof(struct block);
    block->mapped = 0;
    return block;
}

static char *map_pages(size_t length)
{
    void *start = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return start == MAP_FAILED ? NULL : start;
}

/* `length` bytes that start on a boundary of huge pages: only whole ones between boundaries can be huge. */
static char *map_huge_pages(size_t length)
{
    char *start = map_pages(length + HUGE_PAGE);
    if (start == NULL) return NULL;
    const size_t before = (HUGE_PAGE - (uintptr_t)start % HUGE_PAGE) % HUGE_PAGE;
    if (before > 0) munmap(start, before);
    munmap(start + before + length, HUGE_PAGE - before);
    start += before;
#if defined(MADV_HUGEPAGE)
    (void)madvise(start, length, MADV_HUGEPAGE); /* refused, it is only slower */
#endif
    return start;
}

static struct block *new_large(size_t size)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    const size_t length = (HEAD + size + page - 1) / page * page;
    char *start = length < HUGE_PAGE ? map_pages(length) : map_huge_pages(length);
    if (start == NULL) return NULL;
    struct block *block = block_of(start + HEAD);
    block->capacity = length - HEAD;
    block->mapped = length;
    return block;
}

static bool is_large(size_t size) { return FN_KEEP_BUFFERS && size >= FN_BUFFER_BYTES; }

static struct block *new_block(size_t size)
{
    if (size > PTRDIFF_MAX / 2) return NULL; /* no machine has it, and no sum of sizes below can overflow */
    struct block *block = is_large(size) ? new_large(size) : NULL;
    /* malloc also finds memory where the system refuses one more mapping */
    return block != NULL ? block : new_small(size);
}

static void unmap_all(struct block *list)
{
    while (list != NULL) {
        struct block *next = list->next;
        munmap((char *)memory_of(list) - HEAD, list->mapped);
        list = next;
    }
}

/* ---- The table. Every function of this section needs the lock. */

/* Whether a block of that capacity is not too large for `size`: at most a quarter of it may be wasted. */
static bool is_close(size_t capacity, size_t size) { return capacity - capacity / 4 <= size; }

static void drop(size_t first, size_t count)
{
    for (size_t i = first; i < first + count; i++) cache.idle_bytes -= cache.idle[i].block->mapped;
    cache.count -= count;
    memmove(&cache.idle[first], &cache.idle[first + count], (cache.count - first) * sizeof cache.idle[0]);
}

static struct block *take(size_t size)
{
    size_t best = cache.count;
    for (size_t i = cache.count; i-- > 0;) {
        const size_t capacity = cache.idle[i].capacity;
        if (capacity < size || !is_close(capacity, size)) continue;
        if (best == cache.count || capacity < cache.idle[best].capacity) best = i;
        if (capacity - size < 4096) break; /* no page to spare: none fits better */
    }
    if (best == cache.count) return NULL;
    struct block *block = cache.idle[best].block;
    drop(best, 1);
    return block;
}

/* Takes out blocks, longest unused first, until at most `bytes` in at most `blocks` are left; returns their list. */
static struct block *evict(size_t bytes, size_t blocks)
{
    struct block *list = NULL;
    size_t out = 0, left = cache.idle_bytes;
    while (left > bytes || cache.count - out > blocks) {
        struct block *block = cache.idle[out++].block;
        left -= block->mapped;
        block->next = list;
        list = block;
    }
    drop(0, out);
    return list;
}

static void put(struct block *block)
{
    cache.idle[cache.count++] = (struct idle){block->capacity, block};
    cache.idle_bytes += block->mapped;
}

/* ---- Requests */

static struct block *take_idle(size_t size)
{
    pthread_mutex_lock(&cache.lock);
    struct block *block = take(size);
    if (block != NULL)
        cache.hits++;
    else
        cache.misses++;
    pthread_mutex_unlock(&cache.lock);
    return block;
}

void *fn_buffer_alloc(size_t size)
{
    struct block *block = is_large(size) ? take_idle(size) : NULL;
    if (block == NULL) block = new_block(size);
    if (block == NULL) {
        fn_buffer_empty();
        block = new_block(size);
    }
    return block != NULL ? memory_of(block) : NULL;
}

void fn_buffer_free(void *memory)
{
    if (memory == NULL) return;
    struct block *block = block_of(memory);
    if (block->mapped == 0) {
        free(block);
        return;
    }
    pthread_mutex_lock(&cache.lock);
    const size_t limit = atomic_load_explicit(&cache.limit, memory_order_relaxed);
    struct block *out;
    if (block->mapped > limit) {
        block->next = NULL;
        out = block;
    } else {
        out = evict(limit - block->mapped, MAX_IDLE - 1);
        put(block);
    }
    pthread_mutex_unlock(&cache.lock);
    unmap_all(out);
}

void *fn_buffer_resize(void *memory, size_t size)
{
    if (memory == NULL) return fn_buffer_alloc(size);
    const struct block *block = block_of(memory);
    const size_t capacity = block->capacity;
    const bool stays_large = (block->mapped > 0) == is_large(size);
    if (size <= capacity && stays_large && is_close(capacity, size)) return memory;
    void *moved = fn_buffer_alloc(size);
    if (moved == NULL) return size <= capacity ? memory : NULL;
    memcpy(moved, memory, size < capacity ? size : capacity);
    fn_buffer_free(memory);
    return moved;
}

/* ---- The limit */

size_t fn_buffer_limit(void) { return atomic_load_explicit(&cache.limit, memory_order_relaxed); }

void fn_buffer_set_limit(size_t bytes)
{
    pthread_mutex_lock(&cache.lock);
    if (!FN_KEEP_BUFFERS || !cache.ready) bytes = 0;
    atomic_store_explicit(&cache.limit, bytes, memory_order_relaxed);
    struct block *out = evict(bytes, MAX_IDLE);
    pthread_mutex_unlock(&cache.lock);
    unmap_all(out);
}

void fn_buffer_empty(void)
{
    pthread_mutex_lock(&cache.lock);
    struct block *out = evict(0, 0);
    pthread_mutex_unlock(&cache.lock);
    unmap_all(out);
}

fn_buffer_figures fn_buffer_look(void)
{
    pthread_mutex_lock(&cache.lock);
    const fn_buffer_figures figures = {.limit = fn_buffer_limit(),
                                       .idle_bytes = cache.idle_bytes,
                                       .idle_blocks = cache.count,
                                       .hits = cache.hits,
                                       .misses = cache.misses};
    pthread_mutex_unlock(&cache.lock);
    return figures;
}

/* ---- Fork. The thread that forks holds the lock from `prepare` on; the child's only thread is its copy. */

static void before_fork(void) { pthread_mutex_lock(&cache.lock); }

static void after_fork_in_parent(void) { pthread_mutex_unlock(&cache.lock); }

/* Idle blocks go: as long as both sides have them, the first write to each page copies it, on either side. */
static void after_fork_in_child(void)
{
    struct block *out = evict(0, 0);
    pthread_mutex_unlock(&cache.lock);
    unmap_all(out);
}

/* ---- Start */

/* The number that a file begins with; ULLONG_MAX if there is none, as in a cgroup without a limit ("max"). */
static unsigned long long read_number(const char *path)
{
    unsigned long long number = ULLONG_MAX;
    FILE *file = fopen(path, "r");
    if (file == NULL) return number;
    if (fscanf(file, "%llu", &number) != 1) number = ULLONG_MAX;
    fclose(file);
    return number;
}

static unsigned long long least(unsigned long long a, unsigned long long b) { return a < b ? a : b; }

static size_t default_limit(void)
{
    const long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    unsigned long long memory = 0;
    if (pages > 0 && page > 0) memory = (unsigned long long)pages * (unsigned long long)page;
    /* of the group that a container sees as its root */
    memory = least(memory, read_number("/sys/fs/cgroup/memory.max"));                   /* v2 */
    memory = least(memory, read_number("/sys/fs/cgroup/memory/memory.limit_in_bytes")); /* v1 */
    return (size_t)least(MOST_BYTES_BY_DEFAULT, memory / SHARE_OF_MEMORY_BY_DEFAULT);
}

static void init_once(void)
{
    cache.ready = pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child) == 0;
    fn_buffer_set_limit(default_limit());
}

void fn_buffer_init(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, init_once);
}
