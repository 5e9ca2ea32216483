/* How many threads the process starts with. */
#ifndef FN_THREAD_COUNT_H
#define FN_THREAD_COUNT_H

/*
 * FASTNORM_NUM_THREADS, else the first number of OMP_NUM_THREADS, else the CPUs
 * that the affinity mask of the calling thread and the cgroup CPU quota (v1, v2;
 * rounded up) both allow. A variable that does not hold a whole number >= 1
 * counts as not set.
 */
int fn_default_num_threads(void);

#endif
