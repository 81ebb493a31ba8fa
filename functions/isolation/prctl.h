/* Asks prctl(2) for OPTION, which is answered by a digit. */
#include "attempt.h"
#ifndef __wasm__
#include <sys/prctl.h>
#endif

static int probe(void)
{
#ifdef __wasm__
    return NOT_OFFERED;
#else
    int value = prctl(OPTION, 0, 0, 0, 0);
    return value < 0 ? by_errno(errno) : say_digit(value);
#endif
}
