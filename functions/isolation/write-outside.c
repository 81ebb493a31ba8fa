/* Makes a file in a directory of the host outside of all that the function was given. The host looks whether it is there. */
#include "read.h"

static int probe(void)
{
    const char *path = parameter("made");
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0644);
    if (fd < 0)
        return by_errno(errno);
    ssize_t n = write(fd, "made", 4);
    int error = errno;
    close(fd);
    return n == 4 ? REACHED : by_errno(error);
}
