/* Whether programs that it executes can gain no privileges: 1 if so. */
#include "attempt.h"
#ifndef __wasm__
#include <sys/prctl.h>
#endif

static int probe(void)
{
#ifdef __wasm__
    return NOT_OFFERED;
#else
    int set = prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0);
    return set < 0 ? by_errno(errno) : say_digit(set);
#endif
}
