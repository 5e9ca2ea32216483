/*
 * Stress test of the cache of large blocks: stress_buffers [seconds], default 5.
 *
 * Includes the cache's source, so that it can look at its state and make the system refuse memory. Build it alone:
 *
 *     cc -std=c11 -Icsrc tests/c/stress_buffers.c -lpthread
 *
 * Under AddressSanitizer the cache would be off, so it is switched on here; FN_KEEP_BUFFERS=0 tests that it is off.
 * Every failed check is printed; the exit status says whether there was one.
 */
#define _DEFAULT_SOURCE 1

#ifndef FN_KEEP_BUFFERS
#define FN_KEEP_BUFFERS 1
#endif

#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>

/* What the cache meets when it asks the system: the memory that is left to map, and whether malloc has any. */
static atomic_llong mappable = 1ll << 62;
static atomic_bool malloc_is_dry;

static void *scarce_mmap(void *at, size_t length, int protection, int flags, int fd, off_t offset)
{
    if ((long long)length > atomic_load(&mappable)) return MAP_FAILED;
    return mmap(at, length, protection, flags, fd, offset);
}

static void *scarce_aligned_alloc(size_t alignment, size_t size)
{
    return atomic_load(&malloc_is_dry) ? NULL : aligned_alloc(alignment, size);
}

#define mmap scarce_mmap
#define aligned_alloc scarce_aligned_alloc
#include "../../csrc/buffers.c"
#undef mmap
#undef aligned_alloc

#include "check.h"

#include <sys/wait.h>
#include <time.h>

/* A fork in a process with threads upsets ThreadSanitizer itself. */
#if defined(__SANITIZE_THREAD__)
#define WITH_FORK 0
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define WITH_FORK 0
#endif
#endif
#ifndef WITH_FORK
#define WITH_FORK 1
#endif

enum { MB = 1 << 20, DEADLINE_S = 20, THREADS = 6, HELD = 12, SHARED = 8 };

static double seconds_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static unsigned next_random(unsigned *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 12;
}

/* ---- Blocks whose contents show any overlap, loss or early reuse */

enum { STEP = 8191 }; /* bytes between marks: about every other page, at all places in it */

static unsigned char mark(unsigned seed, size_t i) { return (unsigned char)(seed + 131 * i); }

static void write_marks(unsigned char *memory, size_t size, unsigned seed)
{
    for (size_t i = 0; i < size; i += STEP) memory[i] = mark(seed, i);
    memory[size - 1] = mark(seed, size - 1);
}

static bool marks_are_whole(const unsigned char *memory, size_t size, unsigned seed)
{
    bool whole = true;
    for (size_t i = 0; i < size; i += STEP) whole = whole && memory[i] == mark(seed, i);
    return whole;
}

static void check_table(void)
{
    size_t bytes = 0;
    pthread_mutex_lock(&cache.lock);
    CHECK(cache.count <= MAX_IDLE);
    for (size_t i = 0; i < cache.count; i++) {
        const struct block *block = cache.idle[i].block;
        bytes += block->mapped;
        CHECK(block->mapped == block->capacity + HEAD && block->capacity == cache.idle[i].capacity);
        CHECK(block->capacity >= FN_BUFFER_BYTES);
    }
    CHECK(bytes == cache.idle_bytes);
    CHECK(bytes <= atomic_load(&cache.limit));
    pthread_mutex_unlock(&cache.lock);
}

/* ---- One thread: what is kept, taken and thrown away */

static void test_small_blocks(void)
{
    for (size_t size = 0; size < FN_BUFFER_BYTES; size += 1 + size / 2) {
        unsigned char *memory = fn_buffer_alloc(size);
        CHECK(memory != NULL && (uintptr_t)memory % FN_BUFFER_ALIGN == 0);
        memset(memory, 1, size);
        fn_buffer_free(memory);
    }
    fn_buffer_free(NULL);
    CHECK(fn_buffer_look().idle_blocks == 0);
}

static void test_impossible_sizes(void)
{
    static const size_t sizes[] = {SIZE_MAX,    SIZE_MAX - 63,           SIZE_MAX / 2,
                                   PTRDIFF_MAX, PTRDIFF_MAX - HUGE_PAGE, PTRDIFF_MAX / 2 + 1};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) CHECK(fn_buffer_alloc(sizes[i]) == NULL);
}

static void test_resize(void)
{
    static const size_t sizes[] = {1,
                                   100,
                                   FN_BUFFER_BYTES - 1,
                                   FN_BUFFER_BYTES,
                                   3 * MB,
                                   3 * MB - 100,
                                   MB,
                                   5 * MB + 77,
                                   2 * MB,
                                   FN_BUFFER_BYTES / 2,
                                   64,
                                   MB,
                                   7 * MB};
    size_t size = sizes[0];
    unsigned char *memory = fn_buffer_resize(NULL, size);
    for (size_t i = 1; i < sizeof sizes / sizeof sizes[0]; i++) {
        const size_t least_size = size < sizes[i] ? size : sizes[i];
        write_marks(memory, size, (unsigned)i);
        memory = fn_buffer_resize(memory, sizes[i]);
        size = sizes[i];
        CHECK(memory != NULL && (uintptr_t)memory % FN_BUFFER_ALIGN == 0);
        CHECK(marks_are_whole(memory, least_size, (unsigned)i));
    }
    fn_buffer_free(memory);
    check_table();
}

/* NULL only if the memory is really gone, and never a block lost. */
static void test_scarce_memory(void)
{
    fn_buffer_set_limit(64 * MB);
    void *idle = fn_buffer_alloc(8 * MB), *held = fn_buffer_alloc(4 * MB);
    memset(held, 7, 4 * MB);
    fn_buffer_free(idle);
    atomic_store(&mappable, 0);
    void *other = fn_buffer_alloc(30 * MB); /* malloc has it */
    CHECK(other != NULL && (uintptr_t)other % FN_BUFFER_ALIGN == 0);
    memset(other, 1, 30 * MB);
    fn_buffer_free(other);
    atomic_store(&malloc_is_dry, true);
    CHECK(fn_buffer_alloc(30 * MB) == NULL);
    CHECK(fn_buffer_look().idle_blocks == 0); /* given up for it */
    CHECK(fn_buffer_alloc(100) == NULL);
    CHECK(fn_buffer_resize(held, 30 * MB) == NULL);
    CHECK(fn_buffer_resize(held, MB) == held);
    CHECK(((unsigned char *)held)[0] == 7 && ((unsigned char *)held)[4 * MB - 1] == 7);
    atomic_store(&malloc_is_dry, false);
    atomic_store(&mappable, 1ll << 62);
    fn_buffer_free(held);
    check_table();
}

#if FN_KEEP_BUFFERS

static bool is_idle(void *memory)
{
    bool found = false;
    for (size_t i = 0; i < cache.count; i++) found = found || memory_of(cache.idle[i].block) == memory;
    return found;
}

static void test_reuse(void)
{
    fn_buffer_set_limit(64 * MB);
    void *a = fn_buffer_alloc(4 * MB), *b = fn_buffer_alloc(6 * MB), *c = fn_buffer_alloc(4 * MB);
    CHECK(a != NULL && b != NULL && c != NULL && a != b && b != c && a != c);
    CHECK((uintptr_t)block_of(a) % HUGE_PAGE == HEAD - sizeof(struct block)); /* on a boundary of huge pages */
    fn_buffer_free(a);
    fn_buffer_free(c);
    fn_buffer_free(b);
    CHECK(fn_buffer_look().idle_blocks == 3);
    CHECK(fn_buffer_alloc(4 * MB) == c);           /* the best fit, and the latest */
    CHECK(fn_buffer_alloc(3 * MB + MB / 64) == a); /* not much smaller */
    void *d = fn_buffer_alloc(4 * MB);             /* b is too large */
    CHECK(d != b);
    void *e = fn_buffer_alloc(6 * MB + 2 * 65536); /* b is too small */
    CHECK(e != b && fn_buffer_alloc(5 * MB) == b);
    CHECK(fn_buffer_look().idle_bytes == 0);
    CHECK(fn_buffer_resize(a, 4 * MB) == a && fn_buffer_resize(a, 3 * MB + MB / 64) == a); /* in place */
    fn_buffer_free(a);
    fn_buffer_free(b);
    fn_buffer_free(c);
    fn_buffer_free(d);
    fn_buffer_free(e);
    check_table();
    fn_buffer_empty();
    CHECK(fn_buffer_look().idle_bytes == 0 && fn_buffer_look().idle_blocks == 0);
}

static void test_longest_unused_goes_first(void)
{
    void *blocks[4];
    fn_buffer_set_limit(3 * (MB + 65536));
    for (int i = 0; i < 4; i++) blocks[i] = fn_buffer_alloc(MB);
    for (int i = 0; i < 4; i++) fn_buffer_free(blocks[i]);
    CHECK(!is_idle(blocks[0]) && is_idle(blocks[1]) && is_idle(blocks[2]) && is_idle(blocks[3]));
    fn_buffer_set_limit(MB + 65536);
    CHECK(!is_idle(blocks[2]) && is_idle(blocks[3]));
    void *large = fn_buffer_alloc(8 * MB);
    fn_buffer_free(large); /* more than all: goes itself */
    CHECK(is_idle(blocks[3]) && !is_idle(large));
    fn_buffer_set_limit(0);
    CHECK(fn_buffer_look().idle_blocks == 0 && fn_buffer_limit() == 0);
    fn_buffer_free(fn_buffer_alloc(MB));
    CHECK(fn_buffer_look().idle_blocks == 0);
}

static void test_full_table(void)
{
    enum { COUNT = MAX_IDLE + 10 };
    static void *blocks[COUNT];
    fn_buffer_set_limit(1 << 30);
    for (int i = 0; i < COUNT; i++) blocks[i] = fn_buffer_alloc(FN_BUFFER_BYTES);
    for (int i = 0; i < COUNT; i++) fn_buffer_free(blocks[i]);
    CHECK(cache.count == MAX_IDLE && !is_idle(blocks[9]) && is_idle(blocks[10]) && is_idle(blocks[COUNT - 1]));
    check_table();
    fn_buffer_empty();
    check_table();
}

static void test_init(void)
{
    fn_buffer_free(fn_buffer_alloc(2 * MB)); /* before it: works, and keeps nothing */
    fn_buffer_set_limit(MB);
    CHECK(fn_buffer_look().idle_blocks == 0 && fn_buffer_limit() == 0);
    fn_buffer_init();
    const size_t limit = fn_buffer_limit();
    CHECK(limit > 0 && limit <= 1u << 30);
    fn_buffer_set_limit(5 * MB);
    fn_buffer_init();
    CHECK(fn_buffer_limit() == 5 * MB);
}

#else

static void test_nothing_is_kept(void)
{
    fn_buffer_init();
    fn_buffer_set_limit(64 * MB);
    CHECK(fn_buffer_limit() == 0);
    fn_buffer_free(fn_buffer_alloc(8 * MB));
    const fn_buffer_figures figures = fn_buffer_look();
    CHECK(figures.idle_blocks == 0 && figures.idle_bytes == 0 && figures.hits == 0);
}

#endif

/* ---- Many threads: each holds blocks and hands some to the others, who free them */

static atomic_bool stop;
static atomic_llong requests;

struct held {
    unsigned char *memory;
    size_t size;
    unsigned seed;
};

static pthread_mutex_t shared_lock = PTHREAD_MUTEX_INITIALIZER;
static struct held shared[SHARED];

static size_t random_size(unsigned *state)
{
    const size_t common = (size_t)FN_BUFFER_BYTES << next_random(state) % 6;
    switch (next_random(state) % 8) {
    case 0: return 1 + next_random(state) % FN_BUFFER_BYTES;
    case 1: return FN_BUFFER_BYTES + next_random(state) % (3 * MB);
    case 2: return common + next_random(state) % 65536;
    default: return common;
    }
}

static void let_go(struct held *held)
{
    if (held->memory == NULL) return;
    CHECK(marks_are_whole(held->memory, held->size, held->seed));
    fn_buffer_free(held->memory);
    held->memory = NULL;
}

static void get(struct held *held, unsigned *state)
{
    held->size = random_size(state);
    held->seed = next_random(state);
    held->memory = fn_buffer_alloc(held->size);
    CHECK(held->memory != NULL);
    if (held->memory != NULL) write_marks(held->memory, held->size, held->seed);
}

static void change(struct held *held, unsigned *state)
{
    const size_t size = random_size(state), least_size = size < held->size ? size : held->size;
    unsigned char *memory = fn_buffer_resize(held->memory, size);
    CHECK(memory != NULL && marks_are_whole(memory, least_size, held->seed));
    if (memory == NULL) return;
    held->memory = memory;
    held->size = size;
    write_marks(memory, size, held->seed);
}

static void swap_with_others(struct held *held, unsigned *state)
{
    struct held *place = &shared[next_random(state) % SHARED];
    pthread_mutex_lock(&shared_lock);
    const struct held mine = *held;
    *held = *place;
    *place = mine;
    pthread_mutex_unlock(&shared_lock);
}

static void use_cache(unsigned seed, long times)
{
    struct held held[HELD] = {{NULL, 0, 0}};
    unsigned state = seed;
    for (long n = 0; n < times && !atomic_load(&stop); n++) {
        struct held *one = &held[next_random(&state) % HELD];
        const unsigned choice = next_random(&state) % 256;
        if (choice == 0)
            fn_buffer_set_limit(next_random(&state) % 4 * (size_t)(next_random(&state) % (16 * MB)));
        else if (choice == 1)
            fn_buffer_empty();
        else if (choice == 2)
            check_table();
        else if (choice < 64)
            swap_with_others(one, &state);
        else if (one->memory == NULL)
            get(one, &state);
        else if (choice < 96)
            change(one, &state);
        else
            let_go(one);
        atomic_fetch_add(&requests, 1);
    }
    for (int i = 0; i < HELD; i++) let_go(&held[i]);
}

static void *thread_main(void *seed)
{
    use_cache((unsigned)(uintptr_t)seed, LONG_MAX);
    return NULL;
}

#if WITH_FORK

/* The child has the lock, the blocks in use as they were, and no idle ones. */
static void fork_once(unsigned seed)
{
    struct held held = {NULL, 0, 0};
    get(&held, &seed);
    int status = -1;
    const pid_t pid = fork();
    if (pid == 0) {
        alarm(DEADLINE_S);
        const int before = atomic_load(&failures);
        CHECK(fn_buffer_look().idle_blocks == 0);
        let_go(&held);
        /* no malloc here: AddressSanitizer's may be locked */
        for (size_t size = FN_BUFFER_BYTES; size < 8 * MB; size += MB + size / 3) {
            held = (struct held){fn_buffer_alloc(size), size, 1};
            write_marks(held.memory, size, 1);
            let_go(&held);
        }
        check_table();
        _exit(atomic_load(&failures) != before);
    }
    CHECK(pid > 0 && waitpid(pid, &status, 0) == pid && status == 0);
    let_go(&held);
}

#endif

static void test_threads(double seconds, bool with_forks)
{
    pthread_t threads[THREADS];
    const double end = seconds_now() + seconds;
    atomic_store(&stop, false);
    fn_buffer_set_limit(16 * MB);
    for (uintptr_t i = 0; i < THREADS; i++) CHECK(pthread_create(&threads[i], NULL, thread_main, (void *)(i + 1)) == 0);
    for (unsigned n = 0; seconds_now() < end; n++) {
#if WITH_FORK
        if (with_forks) fork_once(n);
#else
        (void)with_forks;
#endif
        const struct timespec pause = {0, 5000000};
        nanosleep(&pause, NULL);
    }
    atomic_store(&stop, true);
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    for (int i = 0; i < SHARED; i++) let_go(&shared[i]);
    check_table();
    fn_buffer_set_limit(0);
    check_table();
}

int main(int argc, char **argv)
{
    const double seconds = argc > 1 ? atof(argv[1]) : 5;
    alarm((unsigned)seconds + 120); /* a hang fails, too */

#if FN_KEEP_BUFFERS
    test_init();
#else
    test_nothing_is_kept();
#endif
    test_small_blocks();
    test_impossible_sizes();
    test_resize();
    test_scarce_memory();
#if FN_KEEP_BUFFERS
    test_reuse();
    test_longest_unused_goes_first();
    test_full_table();
#endif
    test_threads(seconds / 2, false);
    test_threads(seconds / 2, true);
    const fn_buffer_figures figures = fn_buffer_look();
    printf("%lld requests from %d threads; %llu of %llu large ones reused a block\n", atomic_load(&requests),
           (int)THREADS, figures.hits, figures.hits + figures.misses);
    printf(atomic_load(&failures) == 0 ? "passed\n" : "FAILED\n");
    return atomic_load(&failures) != 0;
}
