/* Makes namespaces of its own: the way to code of the kernel that was written for root. */
#include "attempt.h"
#ifndef __wasm__

static int attempt(void)
{
    return syscall(SYS_unshare, 0x10000000 | 0x00020000) == 0 || syscall(SYS_unshare, 0x00020000) == 0 ? 0 : errno;
}
#endif

static int probe(void)
{
    return ATTEMPT(attempt);
}
