/* The kernel tables that this processor can run, worst first. */
#ifndef FN_DISPATCH_H
#define FN_DISPATCH_H

#include "cpu.h"
#include "fastnorm.h"

/* Chooses the best table that `enabled` allows. Call once, before any kernel. */
void fn_dispatch_init(fn_cpu_features enabled);

int fn_isa_count(void);
const char *fn_isa_name(int i);

/* The table in use; fn_isa_use changes it, 0 <= i < fn_isa_count(). */
int fn_isa_current(void);
void fn_isa_use(int i);
const fn_kernels *fn_kernels_for(fn_dtype dtype);

#endif
