/* Mounts a file system: on a directory that was planted outside, where it is to be seen, else on one of its own. */
#include "attempt.h"
#ifndef __wasm__
#include <sys/mount.h>

static int attempt(void)
{
    const char *const places[] = {parameter("mount"), "/tmp", "/mnt", "/proc", "/dev", "/"};
    int error = ENOENT;
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        if (mount("faasm-bench", places[i], "tmpfs", MS_NOSUID | MS_NODEV, "size=64k") == 0) {
            umount2(places[i], MNT_DETACH);
            return 0;
        }
        if (i == 0 && errno == EPERM)
            return EPERM;
        if (errno != ENOENT)
            error = errno;
    }
    return error;
}
#endif

static int probe(void)
{
    return ATTEMPT(attempt);
}
