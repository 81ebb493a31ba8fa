/* Follows a link that leads outside: one that lies in the directory it was given, where there is one, else one of its own
 * making. */
#include "read.h"

static int probe(void)
{
    static const char *const places[] = {"/data", "/tmp", "/dev/shm", "."};
    int outcome = CANNOT_TRY;
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        const char *path = own_path(places[i]);
        int made = symlink(parameter("file"), path) == 0, error = errno;
        int found = read_file(path);
        if (made)
            unlink(path);
        else if (found == ABSENT)
            found = by_errno(error);
        if (found == REACHED)
            return REACHED;
        if (outcome == CANNOT_TRY || made || found == OTHER)
            outcome = found;
        if (made)
            break;
    }
    return outcome;
}
