/* Reads the beginning of a block device of the host, by a node of its own making if there is none. */
#include "read.h"
#ifndef __wasm__
#include <sys/stat.h>
#include <sys/sysmacros.h>
#endif

static int probe(void)
{
    const char *device = parameter("device");
    if (device[0] == 0)
        return CANNOT_TRY;
    int outcome = read_file(device);
#ifndef __wasm__
    static const char *const places[] = {"/tmp", "/dev", "/run", ""};
    dev_t number_of_it = makedev((unsigned)number("major"), (unsigned)number("minor"));
    for (size_t i = 0; outcome != REACHED && i < sizeof places / sizeof *places; i++) {
        const char *path = own_path(places[i]);
        if (mknod(path, S_IFBLK | 0600, number_of_it) != 0) {
            if (outcome == ABSENT && errno != ENOENT)
                outcome = by_errno(errno);
            continue;
        }
        outcome = read_file(path);
        unlink(path);
    }
#endif
    return outcome;
}
