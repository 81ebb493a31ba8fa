/* Becomes another user. */
#include "attempt.h"
#ifndef __wasm__

static int attempt(void)
{
    return syscall(SYS_setresuid, 54321, 54321, 54321) == 0 ? 0 : errno;
}
#endif

static int probe(void)
{
    return ATTEMPT(attempt);
}
