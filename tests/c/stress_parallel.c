/*
 * Stress test of the thread pool: stress_parallel [seconds], default 5.
 *
 * Includes its two sources, so that it can look at the pool's state and make
 * thread creation fail. Build it alone:
 *
 *     cc -std=c11 -Icsrc tests/c/stress_parallel.c -lpthread -lm
 *
 * Every failed check is printed; the exit status says whether there was one.
 * Everything that can hang has a deadline.
 */
#define _DEFAULT_SOURCE 1

#include <pthread.h>
#include <stdatomic.h>

/* What the pool's thread creation meets: 0 all succeed, n: only each n-th does. */
static atomic_int creation_success_stride;
static atomic_int creations;

static int scarce_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*start)(void *), void *arg);

#define pthread_create scarce_pthread_create
#include "../../csrc/parallel.c"
#undef pthread_create
#include "../../csrc/thread_count.c"

#include "check.h"

#include <errno.h>
#include <fenv.h>
#include <float.h>
#include <sys/wait.h>

/* A fork in a process with threads upsets ThreadSanitizer itself. */
#if defined(__SANITIZE_THREAD__)
#define WITH_FORK 0
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define WITH_FORK 0
#else
#define WITH_FORK 1
#endif
#else
#define WITH_FORK 1
#endif

enum { DEADLINE_S = 20, MOST_CHUNKS = 4099 };

static int scarce_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*start)(void *), void *arg)
{
    const int stride = atomic_load(&creation_success_stride);
    if (stride != 0 && (atomic_fetch_add(&creations, 1) + 1) % stride != 0) return EAGAIN;
    return pthread_create(thread, attr, start, arg);
}

static double seconds_now(void) { return (double)now_ns() * 1e-9; }

static void sleep_ms(long ms)
{
    const struct timespec t = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&t, NULL);
}

static unsigned next_random(unsigned *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 16;
}

/* ---- Work whose result shows any chunk missed, repeated or run by two threads */

struct tally {
    int depth;                        /* of nested calls inside each chunk */
    unsigned char times[MOST_CHUNKS]; /* plain on purpose: races show in TSan */
};

static void tally_chunks(void *arg, ptrdiff_t begin, ptrdiff_t end);

/* No malloc here: AddressSanitizer's may be locked in the child of a fork. */
static bool tally_is_right(ptrdiff_t nchunks, int nthreads, int depth)
{
    struct tally tally = {.depth = depth};
    bool right = true;
    fn_parallel_for(tally_chunks, &tally, nchunks, nthreads);
    for (ptrdiff_t i = 0; i < MOST_CHUNKS; i++) right = right && tally.times[i] == (i < nchunks);
    return right;
}

static void tally_chunks(void *arg, ptrdiff_t begin, ptrdiff_t end)
{
    struct tally *tally = arg;
    CHECK(begin < end);
    for (ptrdiff_t i = begin; i < end; i++) {
        tally->times[i]++;
        if (tally->depth > 0 && i % 64 == 0) CHECK(tally_is_right(17, 3, tally->depth - 1));
    }
}

static void test_every_chunk_once(void)
{
    static const ptrdiff_t chunks[] = {0, 1, 2, 3, 5, 16, 17, 63, 64, 1000, MOST_CHUNKS};
    static const int threads[] = {2, 1, 3, 16, 2, 5, 0, -1, 1000, 3};
    for (size_t t = 0; t < sizeof threads / sizeof threads[0]; t++)
        for (size_t c = 0; c < sizeof chunks / sizeof chunks[0]; c++) CHECK(tally_is_right(chunks[c], threads[t], 0));
    CHECK(tally_is_right(1000, 3, 2));
    fn_parallel_for(tally_chunks, NULL, -1, 4);
}

/* ---- Chunks that wait for each other, so that workers must take part */

struct meeting {
    pthread_t caller;
    atomic_int present, expected;
    atomic_int in_workers;          /* chunks that ran outside the caller */
    atomic_int unmasked, bad_fpenv; /* faults seen */
};

/* All that can be, except those that a chunk raises itself. */
static bool signals_blocked(void)
{
    sigset_t mask;
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    for (int s = 1; s <= SIGSYS; s++) {
        const bool open = s == SIGSEGV || s == SIGBUS || s == SIGFPE || s == SIGILL;
        if (s != SIGKILL && s != SIGSTOP && sigismember(&mask, s) != !open) return false;
    }
    return true;
}

static bool fpenv_is_default(void)
{
    volatile float smallest = FLT_MIN, three = 3, zero = 0, one = 1;
    volatile float third = one / three, minus_third = -one / three;
    volatile float subnormal = smallest / 2; /* 0 under flush-to-zero */
    volatile float doubled = subnormal * 2;  /* 0 under denormals-are-zero */
    volatile float infinite = one / zero;    /* a signal unless masked */
    return third == -minus_third && third == 0x1.555556p-2f && doubled == smallest && infinite > FLT_MAX;
}

static void meet(void *arg, ptrdiff_t begin, ptrdiff_t end)
{
    struct meeting *meeting = arg;
    const double deadline = seconds_now() + (double)DEADLINE_S;
    atomic_fetch_add(&meeting->present, (int)(end - begin));
    while (atomic_load(&meeting->present) < atomic_load(&meeting->expected) && seconds_now() < deadline) sleep_ms(0);
    if (!fpenv_is_default()) atomic_fetch_add(&meeting->bad_fpenv, 1);
    if (!pthread_equal(pthread_self(), meeting->caller)) {
        atomic_fetch_add(&meeting->in_workers, 1);
        if (!signals_blocked()) atomic_fetch_add(&meeting->unmasked, 1);
    }
}

/* Chunks of one call on n threads, all of them running at the same time. */
static void check_meeting(int n, int expected_workers)
{
    struct meeting meeting = {.caller = pthread_self(), .expected = n};
    fn_parallel_for(meet, &meeting, n, n);
    CHECK(atomic_load(&meeting.present) == n);
    CHECK(atomic_load(&meeting.in_workers) == expected_workers);
    CHECK(atomic_load(&meeting.unmasked) == 0);
    CHECK(atomic_load(&meeting.bad_fpenv) == 0);
}

static void test_all_threads_take_part(void)
{
    sigset_t before, after;
    pthread_sigmask(SIG_SETMASK, NULL, &before);
    for (int n = 2; n <= 12; n += 5) check_meeting(n, n - 1);
    CHECK(pool.nworkers == 11);
    check_meeting(2, 1);
    check_meeting(5, 4);
    CHECK(pool.nworkers == 11);
    pthread_sigmask(SIG_SETMASK, NULL, &after);
    for (int s = 1; s <= SIGSYS; s++) CHECK(sigismember(&before, s) == sigismember(&after, s));
}

/* ---- Floating-point environment */

#if defined(__SSE2__)
static unsigned fp_control(void) { return _mm_getcsr() & ~(unsigned)FN_MXCSR_FLAGS; }
#else
static unsigned fp_control(void) { return (unsigned)fegetround(); }
#endif

static void check_fpenv_around_calls(void)
{
    const unsigned before = fp_control();
    check_meeting(3, 2);
    CHECK(fp_control() == before);
    check_meeting(1, 0); /* the serial route */
    CHECK(fp_control() == before);
}

static void test_fpenv(void)
{
    static const int modes[] = {FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO, FE_TONEAREST};
    for (size_t m = 0; m < sizeof modes / sizeof modes[0]; m++) {
        fesetround(modes[m]);
        check_fpenv_around_calls();
        CHECK(fegetround() == modes[m]);
    }
#if defined(__SSE2__)
    const unsigned before = _mm_getcsr();
    const unsigned ftz_daz = 0x8040, unmask_zero_divide = 0x0200;
    _mm_setcsr(before | ftz_daz);
    check_fpenv_around_calls();
    _mm_setcsr(before & ~unmask_zero_divide & ~(unsigned)FN_MXCSR_FLAGS);
    check_fpenv_around_calls();
    _mm_setcsr(before);

    /* Workers must not inherit the flags of the thread that makes them. */
    before_fork();
    after_fork_in_parent();
    CHECK(pool.nworkers == 0);
    _mm_setcsr(before | ftz_daz);
    check_fpenv_around_calls();
    _mm_setcsr(before);
#endif
}

/* ---- Thread creation that fails */

static void test_scarce_threads(void)
{
    static const int strides[] = {INT_MAX, 3};
    for (size_t i = 0; i < sizeof strides / sizeof strides[0]; i++) {
        before_fork(); /* the way to have no workers */
        after_fork_in_parent();
        atomic_store(&creations, 0);
        atomic_store(&creation_success_stride, strides[i]);
        for (int n = 2; n < 9; n++) CHECK(tally_is_right(1000, n, 1));
        CHECK(strides[i] == INT_MAX ? pool.nworkers == 0 : pool.nworkers > 0 && pool.nworkers < 7);
        atomic_store(&creation_success_stride, 0);
        check_meeting(8, 7); /* as soon as threads can be made, they are */
    }
}

/* ---- Idle workers */

static void test_idle_workers_sleep(void)
{
    struct timespec before, after;
    const double deadline = seconds_now() + (double)DEADLINE_S;
    check_meeting(8, 7);
    while (atomic_load(&pool.sleepers) < pool.nworkers && seconds_now() < deadline) sleep_ms(1);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
    sleep_ms(300);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
    const double burnt = (double)(after.tv_sec - before.tv_sec) + 1e-9 * (double)(after.tv_nsec - before.tv_nsec);
    CHECK(burnt < 0.05);
    CHECK(atomic_load(&pool.sleepers) == pool.nworkers && pool.nworkers == 7);
}

/* ---- How many threads */

static void *local_number_of_new_thread(void *unused)
{
    (void)unused;
    CHECK(fn_get_num_threads() == 7);
    CHECK(fn_swap_local_num_threads(2) == 0);
    CHECK(fn_get_num_threads() == 2);
    return NULL;
}

static void test_numbers(void)
{
    const int before = fn_get_num_threads();
    pthread_t other;
    CHECK(before >= 1);
    fn_set_num_threads(7);
    CHECK(fn_get_num_threads() == 7);
    CHECK(fn_swap_local_num_threads(3) == 0);
    CHECK(fn_swap_local_num_threads(100000) == 3);
    CHECK(fn_get_num_threads() == 100000);
    if (pthread_create(&other, NULL, local_number_of_new_thread, NULL) == 0) pthread_join(other, NULL);
    CHECK(fn_swap_local_num_threads(0) == 100000);
    CHECK(fn_get_num_threads() == 7);
    fn_set_num_threads(before);
}

/* ---- Many callers at once */

static atomic_bool callers_stop;
static atomic_long calls;

static void *call_until_stopped(void *number)
{
    unsigned state = (unsigned)(intptr_t)number;
    while (!atomic_load(&callers_stop)) {
        const ptrdiff_t nchunks = (ptrdiff_t)(next_random(&state) % MOST_CHUNKS);
        const int local = (int)(next_random(&state) % 6);
        const int depth = next_random(&state) % 8 == 0;
        if (next_random(&state) % 16 == 0) fn_set_num_threads(1 + (int)(next_random(&state) % 4));
        const int before = fn_swap_local_num_threads(local);
        const int threads = fn_get_num_threads();
        CHECK(local == 0 ? threads >= 1 && threads <= 4 : threads == local);
        CHECK(tally_is_right(nchunks, threads, depth));
        CHECK(fn_swap_local_num_threads(before) == local);
        if (next_random(&state) % 64 == 0) sleep_ms(1); /* long enough for workers to fall asleep */
        atomic_fetch_add(&calls, 1);
    }
    return NULL;
}

#if WITH_FORK

/* Fork a child in which the pool, and so many generations of children, work. */
static void fork_once(int more_generations)
{
    int status = -1;
    const pid_t pid = fork();
    if (pid == 0) {
        alarm(DEADLINE_S);
        atomic_store(&failures, 0);
        CHECK(pool.nworkers == 0);
        check_meeting(3, 2);
        CHECK(tally_is_right(1000, 2, 1));
        if (more_generations > 0) {
            fork_once(more_generations - 1);
            CHECK(tally_is_right(1000, 3, 0));
        }
        _exit(atomic_load(&failures) != 0);
    }
    CHECK(pid > 0 && waitpid(pid, &status, 0) == pid);
    CHECK(status == 0);
}

static void *fork_until_stopped(void *forks)
{
    while (!atomic_load(&callers_stop)) {
        fork_once(0);
        atomic_fetch_add((atomic_int *)forks, 1);
    }
    return NULL;
}

#endif

static void start_thread(pthread_t *thread, void *(*start)(void *), void *arg)
{
    if (pthread_create(thread, NULL, start, arg) != 0) {
        fprintf(stderr, "cannot make the threads of this test\n");
        exit(1);
    }
}

/* Callers in four threads; forks in a fifth and, while they last, in this one. */
static void test_many_callers(double seconds, bool with_forks)
{
    enum { CALLERS = 4 };
    const double end = seconds_now() + seconds;
    pthread_t callers[CALLERS];
    atomic_store(&callers_stop, false);
    atomic_store(&calls, 0);
    fn_set_num_threads(2);
    for (intptr_t i = 0; i < CALLERS; i++) start_thread(&callers[i], call_until_stopped, (void *)(i + 1));
#if WITH_FORK
    if (with_forks) {
        pthread_t forker;
        atomic_int forks = 0;
        double slowest = 0;
        start_thread(&forker, fork_until_stopped, &forks);
        while (seconds_now() < end) {
            const double start = seconds_now();
            fork_once(1);
            if (seconds_now() - start > slowest) slowest = seconds_now() - start;
            atomic_fetch_add(&forks, 1);
        }
        atomic_store(&callers_stop, true);
        pthread_join(forker, NULL);
        printf("%d forks among calls, the slowest child took %.0f ms\n", atomic_load(&forks), slowest * 1e3);
    }
#else
    (void)with_forks;
#endif
    while (seconds_now() < end) sleep_ms(10);
    atomic_store(&callers_stop, true);
    for (int i = 0; i < CALLERS; i++) pthread_join(callers[i], NULL);
    printf("%ld calls from %d threads\n", atomic_load(&calls), (int)CALLERS);
}

/* ---- Exit while other threads are in mid-call */

#if WITH_FORK

static void test_exit_in_mid_call(void)
{
    atomic_store(&callers_stop, false);
    for (int i = 0; i < 20; i++) {
        int status = -1;
        fflush(NULL);
        const pid_t pid = fork();
        if (pid == 0) {
            pthread_t caller;
            alarm(DEADLINE_S);
            for (intptr_t n = 0; n < 3; n++) start_thread(&caller, call_until_stopped, (void *)n);
            sleep_ms(i);
            exit(0); /* not _exit: the handlers of the C library run */
        }
        CHECK(pid > 0 && waitpid(pid, &status, 0) == pid);
        CHECK(status == 0);
    }
}

#endif

/* ---- What a call costs (printed, not judged) */

static void no_work(void *arg, ptrdiff_t begin, ptrdiff_t end)
{
    (void)arg;
    (void)begin;
    (void)end;
}

static int by_size(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/*
 * Median time in us of a call on two threads, the caller being busy elsewhere for
 * `gap` seconds before. (A caller that sleeps there would measure where the
 * system's scheduler puts two threads that wake one another, not this pool.)
 */
static double call_us(fn_range_fn fn, double gap)
{
    enum { COUNT = 301 };
    double times[COUNT];
    for (int i = 0; i < COUNT; i++) {
        struct meeting meeting = {.caller = pthread_self(), .expected = 2};
        const double end_of_gap = seconds_now() + gap;
        while (seconds_now() < end_of_gap) {
        }
        const double start = seconds_now();
        fn_parallel_for(fn, &meeting, 2, 2);
        times[i] = (seconds_now() - start) * 1e6;
    }
    qsort(times, COUNT, sizeof times[0], by_size);
    return times[COUNT / 2];
}

static void wait_for_other(void *arg, ptrdiff_t begin, ptrdiff_t end)
{
    struct meeting *meeting = arg;
    atomic_fetch_add(&meeting->present, (int)(end - begin));
    while (atomic_load(&meeting->present) < 2)
        if (!spin_before(UINT64_MAX)) return;
}

static void print_costs(void)
{
    printf("empty call, 2 threads: %.2f us (workers awake), %.2f us (asleep)\n", call_us(no_work, 0),
           call_us(no_work, 300e-6));
    printf("until both threads run: %.2f us (awake), %.2f us (asleep)\n", call_us(wait_for_other, 0),
           call_us(wait_for_other, 300e-6));
}

int main(int argc, char **argv)
{
    const double seconds = argc > 1 ? atof(argv[1]) : 5;
    alarm((unsigned)seconds + 300); /* a hang fails, too */

    CHECK(tally_is_right(1000, 4, 1)); /* serial until `init` */
    CHECK(pool.nworkers == 0);
    fn_parallel_init();
    fn_parallel_init();
    test_numbers();
    CHECK(tally_is_right(1000, 1, 0));
    CHECK(pool.nworkers == 0); /* none before the first parallel call */

    test_all_threads_take_part();
    test_every_chunk_once();
    test_fpenv();
    test_scarce_threads();
    test_idle_workers_sleep();
    test_many_callers(seconds / 2, false);
#if WITH_FORK
    test_many_callers(seconds / 2, true);
    test_exit_in_mid_call();
#endif
    print_costs();

    printf(atomic_load(&failures) == 0 ? "passed\n" : "FAILED\n");
    return atomic_load(&failures) != 0;
}
