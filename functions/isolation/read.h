/* Reading a file of the host, and telling it from another of the same name. */
#ifndef READ_H
#define READ_H

#include <fcntl.h>
#include "probe.h"

/* Whether the beginning of the file behind `fd` is that of the digest in the parameter `digest`. */
static inline int compare(int fd)
{
    static unsigned char bytes[4096];
    size_t n = 0;
    ssize_t got;
    while (n < sizeof bytes && (got = read(fd, bytes + n, sizeof bytes - n)) > 0)
        n += (size_t)got;
    if (n == 0 && got < 0)
        return by_errno(errno);
    close(fd);
    return digest(bytes, n) == strtoull(parameter("digest"), NULL, 16) ? REACHED : OTHER;
}

static inline int read_file(const char *path)
{
    if (path[0] == 0)
        return CANNOT_TRY;
    int fd = open(path, O_RDONLY);
    return fd < 0 ? by_errno(errno) : compare(fd);
}

#endif
