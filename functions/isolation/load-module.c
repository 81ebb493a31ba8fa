/* Hands the kernel a module that is none: whoever may load modules is told that its format is wrong. */
#include "attempt.h"
#ifndef __wasm__

static int attempt(void)
{
    static char image[64];
    syscall(SYS_init_module, image, sizeof image, "");
    return errno == ENOEXEC || errno == EINVAL ? 0 : errno;
}
#endif

static int probe(void)
{
    return ATTEMPT(attempt);
}
