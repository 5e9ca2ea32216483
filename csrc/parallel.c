/*
 * The thread pool: one job at a time, the calling thread included.
 *
 * A job is nchunks chunks, cut into one contiguous range per thread. A thread
 * takes runs of chunks from its own range first (calls on the same data find
 * it in the same core's cache), then helps with the others. The runs get
 * shorter towards the end of a range, so all threads finish together.
 *
 * How a job goes:
 *   1. The caller takes pool.lock by trylock; if it is taken, by anyone, the
 *      work runs serially instead. The owner of the lock alone starts workers
 *      and writes pool.job.
 *   2. It opens seats (pool.seats = number of workers wanted). A worker enters
 *      by raising pool.active, then taking a seat; only then may it read the
 *      job. Nobody waits for workers that come late or not at all: the caller
 *      can do every chunk itself.
 *   3. When nothing is left to claim the caller closes the seats, then waits
 *      until pool.active is 0.
 *
 * Invariants:
 *   - Seats are open, and pool.job is read, only while the lock is held.
 *   - There are workers only after the fork handlers have been installed, and
 *     none at the moment of a fork: `before_fork` takes the lock, hence waits
 *     for the job, and joins them. Parent and child start new ones when they
 *     need them. So the child inherits neither locks nor half-done jobs of
 *     threads that it does not have.
 *   - Workers touch nothing but static memory and what fn touches. They are
 *     not joined at exit: asleep or in mid-chunk, they end with the process,
 *     and nothing here is ever freed or torn down under them.
 *
 * Locks: pool.lock, then (where there is no futex) sleep_lock, which is never
 * held across other code. Only `before_fork` ever waits for pool.lock.
 */
#define _DEFAULT_SOURCE 1 /* syscall(); brings POSIX with it */

#include "parallel.h"

#include "fpenv.h"
#include "thread_count.h"

#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>
#include <unistd.h>

#if defined(__linux__)
#include <sys/syscall.h>
#endif

/*
 * Linux sleeps on futexes: no faster than a condition variable on two cores, but
 * they wake as many threads as asked without queueing them on a mutex, and they
 * do without glibc's condition variables, which could lose a wake-up before 2.41
 * (glibc bug 25847). Defined as 0 from outside, Linux takes the portable route.
 */
#ifndef FN_USE_FUTEX
#if defined(__linux__) && defined(SYS_futex)
#define FN_USE_FUTEX 1
#else
#define FN_USE_FUTEX 0
#endif
#endif

#if FN_USE_FUTEX
#include <linux/futex.h>
#endif

enum {
    MAX_THREADS = 512, /* of one job, the caller included */
    LINE = 128,        /* bytes: Apple's cache line, x86's pair of prefetched ones */
    RUNS_PER_RANGE = 8 /* a claim takes 1/8 of what is left */
};

/*
 * How long a thread with nothing to do stays awake: about what waking one takes
 * (30 to 60 us measured; 0.5 us while it is awake), so that at worst spinning
 * doubles the price of a wake-up. Only pauses in between: sched_yield made starts
 * ten times slower and, where the system had put two threads on one core, kept
 * them there.
 */
static const uint64_t SPIN_NS = 50000;

static const uint32_t SEATS_STOP = UINT32_MAX;      /* value of seats: workers end */
static const uint32_t ACTIVE_AWAITED = 0x80000000u; /* bit of active: caller sleeps */

struct range {
    _Alignas(LINE) _Atomic ptrdiff_t next;
    ptrdiff_t end;
};

struct job {
    fn_range_fn fn;
    void *arg;
    int nranges;
    struct range ranges[MAX_THREADS];
};

static struct {
    pthread_mutex_t lock;
    atomic_bool ready;        /* fork handlers installed */
    atomic_int forks_waiting; /* for the lock: callers that come later run serially */
    int nworkers;
    pthread_t workers[MAX_THREADS - 1];
    _Alignas(LINE) _Atomic uint32_t seats;  /* still open in the job */
    atomic_int sleepers;                    /* workers asleep on seats */
    _Alignas(LINE) _Atomic uint32_t active; /* workers that are, or try to get, in */
    _Alignas(LINE) struct job job;
} pool = {.lock = PTHREAD_MUTEX_INITIALIZER};

static atomic_int process_num_threads = 1;
static _Thread_local int local_num_threads = 0;

/* ---- Sleeping: while a word has a value, until somebody who changed it wakes us */

#if FN_USE_FUTEX

static void sleep_while(_Atomic uint32_t *word, uint32_t value)
{
    (void)syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
}

static void wake(_Atomic uint32_t *word, int count)
{
    (void)syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, count, NULL, NULL, 0);
}

#else

static pthread_mutex_t sleep_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t sleep_cond = PTHREAD_COND_INITIALIZER;

static void sleep_while(_Atomic uint32_t *word, uint32_t value)
{
    pthread_mutex_lock(&sleep_lock);
    while (atomic_load(word) == value) pthread_cond_wait(&sleep_cond, &sleep_lock);
    pthread_mutex_unlock(&sleep_lock);
}

static void wake(_Atomic uint32_t *word, int count)
{
    (void)word;
    (void)count;
    pthread_mutex_lock(&sleep_lock);
    pthread_cond_broadcast(&sleep_cond);
    pthread_mutex_unlock(&sleep_lock);
}

#endif

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* Let a moment pass; false when it is time to sleep. */
static bool spin_before(uint64_t deadline)
{
#if defined(__SSE2__)
    _mm_pause();
#endif
    return now_ns() < deadline;
}

/* ---- The job: claiming chunks */

/* Take the next run of chunks of a range; false when there is none left. */
static bool claim(struct range *range, ptrdiff_t *begin, ptrdiff_t *end)
{
    ptrdiff_t first = atomic_load_explicit(&range->next, memory_order_relaxed);
    ptrdiff_t count;
    do {
        const ptrdiff_t left = range->end - first;
        if (left <= 0) return false;
        count = (left - 1) / RUNS_PER_RANGE + 1;
    } while (!atomic_compare_exchange_weak_explicit(&range->next, &first, first + count, memory_order_relaxed,
                                                    memory_order_relaxed));
    *begin = first;
    *end = first + count;
    return true;
}

/* Do chunks until none is left to claim, those of range `home` first. */
static void work(int home)
{
    struct job *job = &pool.job;
    for (int i = 0; i < job->nranges; i++) {
        struct range *range = &job->ranges[(home + i) % job->nranges];
        ptrdiff_t begin, end;
        while (claim(range, &begin, &end)) job->fn(job->arg, begin, end);
    }
}

/* ---- Workers */

/*
 * Wake two at a time: each that finds seats left wakes two more, so that with
 * many cores the caller does not spend the job's time on waking them all.
 */
static void wake_sleepers(uint32_t open)
{
    if (open > 0 && atomic_load(&pool.sleepers) > 0) wake(&pool.seats, open > 1 ? 2 : 1);
}

static bool take_seat(void)
{
    uint32_t open = atomic_load_explicit(&pool.seats, memory_order_relaxed);
    while (open != 0 && open != SEATS_STOP)
        if (atomic_compare_exchange_weak_explicit(&pool.seats, &open, open - 1, memory_order_acq_rel,
                                                  memory_order_relaxed)) {
            wake_sleepers(open - 1);
            return true;
        }
    return false;
}

static void leave_job(void)
{
    const uint32_t before = atomic_fetch_sub_explicit(&pool.active, 1, memory_order_acq_rel);
    if (before == (ACTIVE_AWAITED | 1)) wake(&pool.active, 1);
}

static bool enter_job(void)
{
    atomic_fetch_add_explicit(&pool.active, 1, memory_order_relaxed);
    if (take_seat()) return true;
    leave_job();
    return false;
}

/*
 * Wait for a seat in a job and take it; false when it is time to end. Spins
 * after work, and after sleep too: woken too late for a short job, the worker is
 * there for the next. Seats missed while awake do not prolong the spin, so that
 * workers that are not needed fall asleep however busy the others are.
 */
static bool await_seat(void)
{
    uint64_t deadline = now_ns() + SPIN_NS;
    for (;;) {
        const uint32_t open = atomic_load_explicit(&pool.seats, memory_order_relaxed);
        if (open == SEATS_STOP) return false;
        if (open != 0 && enter_job()) return true;
        if (!spin_before(deadline)) {
            /* Sequentially consistent, as in `open_seats`: either the caller
               sees the sleeper or the sleeper sees the seats. */
            atomic_fetch_add(&pool.sleepers, 1);
            sleep_while(&pool.seats, 0);
            atomic_fetch_sub(&pool.sleepers, 1);
            deadline = now_ns() + SPIN_NS;
        }
    }
}

static void *worker_main(void *number)
{
    const int home = (int)(intptr_t)number;
    (void)fn_fp_default(); /* not that of whichever thread made this one */
    while (await_seat()) {
        work(home);
        leave_job();
    }
    return NULL;
}

/* Needs the lock. Have `wanted` workers, or as many as can be made. */
static void start_workers(int wanted)
{
    /* What a chunk itself can raise stays open: blocked, it would end the process
       without the handler that reports a crash. */
    static const int own_faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL};
    sigset_t blocked, before;
    if (pool.nworkers >= wanted) return;
    sigfillset(&blocked);
    for (size_t i = 0; i < sizeof own_faults / sizeof own_faults[0]; i++) sigdelset(&blocked, own_faults[i]);
    pthread_sigmask(SIG_SETMASK, &blocked, &before); /* inherited by the workers */
    while (pool.nworkers < wanted) {
        void *number = (void *)(intptr_t)(pool.nworkers + 1);
        if (pthread_create(&pool.workers[pool.nworkers], NULL, worker_main, number) != 0) break;
        pool.nworkers++;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* Needs the lock. */
static void stop_workers(void)
{
    atomic_store(&pool.seats, SEATS_STOP);
    wake(&pool.seats, INT_MAX);
    for (int i = 0; i < pool.nworkers; i++) pthread_join(pool.workers[i], NULL);
    pool.nworkers = 0;
    atomic_store(&pool.seats, 0);
}

/* ---- The caller */

static void open_seats(int count)
{
    atomic_store(&pool.seats, (uint32_t)count);
    wake_sleepers((uint32_t)count);
}

/* From its return on no worker is in the job, nor can one come in. */
static void close_seats(void)
{
    atomic_exchange_explicit(&pool.seats, 0, memory_order_acq_rel);
    const uint64_t deadline = now_ns() + SPIN_NS;
    do {
        if (atomic_load_explicit(&pool.active, memory_order_acquire) == 0) return;
    } while (spin_before(deadline));

    uint32_t active = atomic_fetch_or(&pool.active, ACTIVE_AWAITED) | ACTIVE_AWAITED;
    while (active != ACTIVE_AWAITED) {
        sleep_while(&pool.active, active);
        active = atomic_load(&pool.active);
    }
    atomic_fetch_and(&pool.active, ~ACTIVE_AWAITED);
}

static bool enter_pool(void)
{
    return atomic_load_explicit(&pool.ready, memory_order_relaxed) &&
           atomic_load_explicit(&pool.forks_waiting, memory_order_relaxed) == 0 &&
           pthread_mutex_trylock(&pool.lock) == 0;
}

/* Needs the lock. 2 <= nthreads <= nchunks. */
static void run_job(fn_range_fn fn, void *arg, ptrdiff_t nchunks, int nthreads)
{
    struct job *job = &pool.job;
    start_workers(nthreads - 1);
    if (nthreads > pool.nworkers + 1) nthreads = pool.nworkers + 1;

    job->fn = fn;
    job->arg = arg;
    job->nranges = nthreads;
    ptrdiff_t begin = 0;
    for (int i = 0; i < nthreads; i++) {
        const ptrdiff_t share = nchunks / nthreads + (i < nchunks % nthreads);
        atomic_store_explicit(&job->ranges[i].next, begin, memory_order_relaxed);
        job->ranges[i].end = begin += share;
    }
    open_seats(nthreads - 1);
    work(0);
    close_seats();
}

void fn_parallel_for(fn_range_fn fn, void *arg, ptrdiff_t nchunks, int nthreads)
{
    if (nchunks <= 0) return;
    if (nthreads > MAX_THREADS) nthreads = MAX_THREADS;
    if (nthreads > nchunks) nthreads = (int)nchunks;

    const fn_fpenv saved = fn_fp_default();
    if (nthreads > 1 && enter_pool()) {
        run_job(fn, arg, nchunks, nthreads);
        pthread_mutex_unlock(&pool.lock);
    } else {
        fn(arg, 0, nchunks);
    }
    fn_fp_restore(saved);
}

int fn_get_num_threads(void)
{
    const int local = local_num_threads;
    return local != 0 ? local : atomic_load_explicit(&process_num_threads, memory_order_relaxed);
}

void fn_set_num_threads(int n) { atomic_store_explicit(&process_num_threads, n, memory_order_relaxed); }

int fn_swap_local_num_threads(int n)
{
    const int before = local_num_threads;
    local_num_threads = n;
    return before;
}

/* ---- Fork. The thread that forks holds the lock from `prepare` on; the child's
   only thread is its copy. */

static void before_fork(void)
{
    atomic_fetch_add(&pool.forks_waiting, 1);
    pthread_mutex_lock(&pool.lock);
    atomic_fetch_sub(&pool.forks_waiting, 1);
    stop_workers();
}

static void after_fork_in_parent(void) { pthread_mutex_unlock(&pool.lock); }

static void after_fork_in_child(void)
{
    atomic_store(&pool.forks_waiting, 0); /* those threads are not here */
    pthread_mutex_unlock(&pool.lock);
}

/* ---- Start */

static void init_once(void)
{
    fn_set_num_threads(fn_default_num_threads());
    const int error = pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
    atomic_store(&pool.ready, error == 0); /* without handlers: serial, and safe */
}

void fn_parallel_init(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, init_once);
}
