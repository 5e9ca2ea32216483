/* Adding up the sums of slabs, in pairs, then pairs of pairs, while other slabs are still being formed: of two that are to
 * be added, whoever is done last adds them. The tree is the same whoever that is, and no thread adds what all have formed
 * while the others wait. */
#ifndef FN_SLABS_H
#define FN_SLABS_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "tree.h"

_Static_assert(FN_MAX_SLABS <= 32, "a slab is a bit");

/* Which slabs wait, the sums up to the next pair being whole, for those that they are to be added to. Starts at 0. */
typedef _Atomic uint32_t fn_waiting_slabs;

/* The sums of a slab are there: adds what can be added, by add(context, to, from) with slabs to < from. When all slabs are
 * done the sum of all is in slab 0. */
static inline void fn_slab_done(fn_waiting_slabs *waiting, ptrdiff_t slabs, ptrdiff_t slab,
                                void (*add)(const void *context, ptrdiff_t to, ptrdiff_t from), const void *context)
{
    for (ptrdiff_t width = 1; width < slabs; width *= 2) {
        const ptrdiff_t to = slab / (2 * width) * (2 * width), from = to + width;
        if (from < slabs) {
            const uint32_t pair = (uint32_t)1 << from;
            if (!(atomic_fetch_xor_explicit(waiting, pair, memory_order_acq_rel) & pair)) return; /* the other adds */
            add(context, to, from);
        }
        slab = to;
    }
}

#endif
