/* The drivers of every family, by name: how the modules of the package, of which only one is linked to this code, find
 * them. */
#ifndef FN_DRIVERS_H
#define FN_DRIVERS_H

/* The table of a family: drivers_of("layernorm") is a const fn_layernorm_drivers *; NULL for a name that there is not. */
const void *fn_drivers_of(const char *family);

#endif
