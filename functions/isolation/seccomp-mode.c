/* Its seccomp mode: 0 none, 2 a filter. */
#include "attempt.h"
#ifndef __wasm__
#include <sys/prctl.h>
#endif

static int probe(void)
{
#ifdef __wasm__
    return NOT_OFFERED;
#else
    int mode = prctl(PR_GET_SECCOMP, 0, 0, 0, 0);
    return mode < 0 ? by_errno(errno) : say_digit(mode);
#endif
}
