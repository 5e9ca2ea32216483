/*
 * Threads: run a function over numbered chunks of work on all allowed cores.
 * Plain C, no Python: nothing here, nor in a chunk, may need the GIL.
 */
#ifndef FN_PARALLEL_H
#define FN_PARALLEL_H

#include <stddef.h>

/*
 * Work on chunks begin .. end-1 (begin < end). Runs on several threads at once
 * with disjoint ranges, in the default floating-point environment (fpenv.h)
 * and, on pool threads, with all signals blocked but those of its own faults
 * (SIGSEGV, SIGBUS, SIGFPE, SIGILL). Must not fork, unwind or jump out, and must
 * not need more than 112 KiB of stack (musl gives 128).
 */
typedef void (*fn_range_fn)(void *arg, ptrdiff_t begin, ptrdiff_t end);

/*
 * Cover the chunks 0 .. nchunks-1, each exactly once, with calls of fn on at
 * most nthreads threads, the caller being one of them; return when all are
 * done. Everything written before the call is visible in fn, everything written
 * in fn is visible after it. Which thread runs which chunks, and how they are
 * grouped into ranges, varies from call to call: only the chunk number may
 * decide what is computed.
 *
 * Never fails and never waits for other callers: while the pool is taken (by
 * another thread, or by the call that this one is nested in) or threads cannot
 * be made, the work runs with fewer threads or serially in the caller.
 * nchunks <= 0 calls nothing; nthreads <= 1 is serial. At most 512 threads work
 * on one call.
 *
 * fork() is safe at any time from any thread that is not inside fn: it waits for
 * the parallel call in flight, and both sides go on with a pool that works. So
 * is exit(): calls in flight in other threads end with the process.
 */
void fn_parallel_for(fn_range_fn fn, void *arg, ptrdiff_t nchunks, int nthreads);

/*
 * The number of threads to ask for: the calling thread's own number if it has
 * one, else the number of the process.
 */
int fn_get_num_threads(void);

/* Set the number of the process, n >= 1, taken as it is. */
void fn_set_num_threads(int n);

/*
 * Give the calling thread a number of its own, n >= 1, that hides the one of
 * the process; 0 takes it away. Returns what was there before, to be put back:
 *
 *     int before = fn_swap_local_num_threads(n);
 *     ...
 *     fn_swap_local_num_threads(before);
 */
int fn_swap_local_num_threads(int n);

/*
 * Call once the library is loaded, before anything else here (until then all
 * work is serial); further calls do nothing. Installs the fork handlers and
 * sets the number of the process to fn_default_num_threads() (thread_count.h).
 */
void fn_parallel_init(void);

#endif
