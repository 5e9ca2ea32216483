/*
 * Stress test of adding up slabs while they are formed (slabs.h): the sum has the bits of the tree, whoever adds.
 *
 *     cc -std=c11 -Icsrc tests/c/stress_slabs.c -lpthread -lm
 */
#define _DEFAULT_SOURCE 1

#include "../../csrc/parallel.c"
#include "../../csrc/slabs.h"
#include "../../csrc/thread_count.c"

#include <stdio.h>

enum { SUMS = 64, ROUNDS = 4000, THREADS = 4 };

typedef struct {
    float sums[FN_MAX_SLABS][SUMS];
    ptrdiff_t slabs;
    unsigned round;
    fn_waiting_slabs waiting;
} stress_task;

/* Numbers of all sizes, so that no two trees agree. */
static float number(unsigned round, ptrdiff_t slab, int i)
{
    unsigned x = round * 2654435761u + (unsigned)slab * 40503u + (unsigned)i * 9973u;
    x ^= x >> 13;
    x *= 2246822519u;
    return (float)(x >> 8) * (x & 1 ? 1e-3f : 1.0f);
}

static void form(stress_task *task, ptrdiff_t slab)
{
    for (int i = 0; i < SUMS; i++) task->sums[slab][i] = number(task->round, slab, i);
}

static void add(const void *context, ptrdiff_t to, ptrdiff_t from)
{
    stress_task *task = (stress_task *)(uintptr_t)context;
    for (int i = 0; i < SUMS; i++) task->sums[to][i] += task->sums[from][i];
}

static void form_and_add(void *arg, ptrdiff_t begin, ptrdiff_t end)
{
    stress_task *task = arg;
    for (ptrdiff_t slab = begin; slab < end; slab++) {
        form(task, slab);
        fn_slab_done(&task->waiting, task->slabs, slab, add, task);
    }
}

/* The tree as docs/reduction-trees.md has it. */
static void add_in_pairs(stress_task *task)
{
    for (ptrdiff_t slab = 0; slab < task->slabs; slab++) form(task, slab);
    for (ptrdiff_t width = 1; width < task->slabs; width *= 2)
        for (ptrdiff_t i = 0; i + width < task->slabs; i += 2 * width) add(task, i, i + width);
}

int main(void)
{
    static stress_task shared, alone;
    int failures = 0;
    fn_parallel_init();
    for (unsigned round = 0; round < ROUNDS; round++) {
        shared.round = alone.round = round;
        shared.slabs = alone.slabs = 1 + round % FN_MAX_SLABS;
        shared.waiting = 0;
        fn_parallel_for(form_and_add, &shared, shared.slabs, THREADS);
        add_in_pairs(&alone);
        for (int i = 0; i < SUMS; i++) failures += shared.sums[0][i] != alone.sums[0][i];
        failures += shared.waiting != 0;
    }
    printf("%d rounds, %d wrong sums\n", ROUNDS, failures);
    return failures != 0;
}
