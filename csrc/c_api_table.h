/* The table for other people's compiled code, fastnorm/include/fastnorm/c_api.h. */
#ifndef FN_C_API_TABLE_H
#define FN_C_API_TABLE_H

/* A const fastnorm_c_api *, for as long as the library is loaded. */
const void *fn_c_api_table(void);

#endif
