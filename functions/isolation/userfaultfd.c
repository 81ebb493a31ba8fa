/* Asks to handle page faults itself, by which the kernel can be stopped in the middle of a copy. */
#include "attempt.h"
#ifndef __wasm__

static int attempt(void)
{
    return syscall(SYS_userfaultfd, O_CLOEXEC) >= 0 ? 0 : errno;
}
#endif

static int probe(void)
{
    return ATTEMPT(attempt);
}
