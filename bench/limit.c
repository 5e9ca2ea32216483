/* The traffic limit: the least time in which this machine streams `reads` arrays in and `writes`
 * arrays out, which no kernel with that traffic can beat. Each output is the sum of all inputs, so
 * that no load can be left out; with no outputs, the sum ends in `sink`.
 *
 * Compiled on the fly by limit.py. Arrays are 64-byte aligned and `bytes` is a multiple of BLOCK.
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#if defined(__x86_64__) || defined(__i386__)
#define ON_X86 1
#include <immintrin.h>
#else
#define ON_X86 0
#endif

enum { BLOCK = 128, MAX_THREADS = 256 };

/* Vectors of GCC and Clang: the compiler maps them to whatever registers the target has. Integer
 * sums cost the same as float sums here and meet no denormals. */
typedef uint64_t vec __attribute__((vector_size(32)));

typedef void pass_function(char *const *in, int reads, char *const *out, int writes, size_t from,
                           size_t to);
static volatile uint64_t sink;

#define PLAIN_STORE(pointer, value) (*(vec *)(pointer) = (value))

#define DEFINE_PASS(name, target, STORE, FENCE)                                                    \
    target static void name(char *const *in, int reads, char *const *out, int writes, size_t from, \
                            size_t to) {                                                           \
        vec total = {0, 0, 0, 0};                                                                  \
        for (size_t i = from; i < to; i += BLOCK) {                                                \
            vec v0 = {0, 0, 0, 0}, v1 = v0, v2 = v0, v3 = v0;                                      \
            for (int k = 0; k < reads; k++) {                                                      \
                const vec *source = (const vec *)(in[k] + i);                                      \
                v0 += source[0], v1 += source[1], v2 += source[2], v3 += source[3];                \
            }                                                                                      \
            for (int k = 0; k < writes; k++) {                                                     \
                vec *result = (vec *)(out[k] + i);                                                 \
                STORE(result, v0);                                                                 \
                STORE(result + 1, v1);                                                             \
                STORE(result + 2, v2);                                                             \
                STORE(result + 3, v3);                                                             \
            }                                                                                      \
            if (!writes) total += (v0 + v1) + (v2 + v3);                                           \
        }                                                                                          \
        if (!writes) sink = total[0] + total[1] + total[2] + total[3];                             \
        FENCE;                                                                                     \
    }

DEFINE_PASS(plain_pass, , PLAIN_STORE, (void)0)

#if ON_X86
/* Non-temporal stores write past the cache and save the read that a plain store begins with. */
#define STREAM_32(pointer, value) _mm256_stream_si256((__m256i *)(pointer), (__m256i)(value))
#define STREAM_16(pointer, value)                                                                  \
    do {                                                                                           \
        union { vec whole; __m128i half[2]; } parts = {.whole = (value)};                          \
        _mm_stream_si128((__m128i *)(pointer), parts.half[0]);                                     \
        _mm_stream_si128((__m128i *)(pointer) + 1, parts.half[1]);                                 \
    } while (0)
DEFINE_PASS(plain_pass_avx2, __attribute__((target("avx2"))), PLAIN_STORE, (void)0)
DEFINE_PASS(stream_pass_avx2, __attribute__((target("avx2"))), STREAM_32, _mm_sfence())
DEFINE_PASS(stream_pass_sse2, __attribute__((target("sse2"))), STREAM_16, _mm_sfence())
#endif

/* The best pass of a kind on this machine. Where there are no non-temporal stores in C, plain ones
 * stand in. */
static pass_function *choose(int streaming) {
#if ON_X86
    int avx2 = __builtin_cpu_supports("avx2");
    if (streaming) return avx2 ? stream_pass_avx2 : stream_pass_sse2;
    return avx2 ? plain_pass_avx2 : plain_pass;
#else
    (void)streaming;
    return plain_pass;
#endif
}

typedef struct {
    pass_function *pass;
    char *const *in, *const *out;
    int reads, writes, threads, inner, repeats;
    size_t bytes;
    atomic_int go, arrived, turn; /* go: the first thread's word that all are there (1) or not (-1) */
    double best;
} job;

typedef struct {
    job *job;
    int id;
} worker;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Waits until `flag` differs from `old`: spinning, because sleeping costs more than a tiny pass;
 * yielding now and then, because the other thread may be waiting for this very core. */
static int wait_change(atomic_int *flag, int old) {
    int value;
    for (int spins = 1; (value = atomic_load(flag)) == old; spins++)
        if (spins % 1024 == 0) sched_yield();
    return value;
}

static void barrier(job *j) {
    if (j->threads == 1) return;
    int turn = atomic_load(&j->turn);
    if (atomic_fetch_add(&j->arrived, 1) == j->threads - 1) {
        atomic_store(&j->arrived, 0);
        atomic_fetch_add(&j->turn, 1);
    } else {
        wait_change(&j->turn, turn);
    }
}

static void *work(void *argument) {
    worker *self = argument;
    job *j = self->job;
    if (self->id && wait_change(&j->go, 0) < 0) return NULL;
    size_t blocks = j->bytes / BLOCK, threads = (size_t)j->threads, id = (size_t)self->id;
    size_t from = blocks * id / threads * BLOCK, to = blocks * (id + 1) / threads * BLOCK;
    for (int repeat = 0; repeat < j->repeats; repeat++) {
        barrier(j);
        double start = now();
        for (int i = 0; i < j->inner; i++) {
            j->pass(j->in, j->reads, j->out, j->writes, from, to);
            barrier(j);
        }
        double took = (now() - start) / j->inner;
        if (!self->id && took < j->best) j->best = took;
    }
    return NULL;
}

/* Seconds per pass: best of `repeats` means over `inner` passes. -1 if a thread cannot be had. */
double least_seconds(char *const *in, int reads, char *const *out, int writes, size_t bytes,
                     int threads, int streaming, int inner, int repeats) {
    if (threads < 1) threads = 1;
    if (threads > MAX_THREADS) threads = MAX_THREADS;
    job j = {.pass = choose(streaming), .in = in, .out = out, .reads = reads, .writes = writes,
             .threads = threads, .inner = inner, .repeats = repeats, .bytes = bytes, .best = 1e30};
    worker workers[MAX_THREADS] = {{&j, 0}};
    pthread_t handles[MAX_THREADS];
    int started = 1;
    for (; started < threads; started++) {
        workers[started] = (worker){&j, started};
        if (pthread_create(&handles[started], NULL, work, &workers[started])) break;
    }
    int complete = started == threads;
    atomic_store(&j.go, complete ? 1 : -1);
    if (complete) work(&workers[0]);
    for (int i = 1; i < started; i++) pthread_join(handles[i], NULL);
    return complete ? j.best : -1;
}
