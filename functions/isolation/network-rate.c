/* Sends to a listener of the host for a second, over the first way that there is. How much of it comes through in how long, the
 * listener counts. */
#include "connect.h"

#define SEND_S 1

static int probe(void)
{
#ifdef __wasm__
    return NO_SOCKET;
#else
    static char zeros[1 << 16];
    int fd, outcome = connect_to_host(&fd);
    struct timespec begun, now;
    if (outcome != REACHED)
        outcome = connect_to(htonl(INADDR_LOOPBACK), &fd);
    if (outcome != REACHED)
        return outcome;
    clock_gettime(CLOCK_MONOTONIC, &begun);
    do {
        if (send(fd, zeros, sizeof zeros, MSG_NOSIGNAL) < 0)
            return by_errno(errno);
        clock_gettime(CLOCK_MONOTONIC, &now);
    } while (now.tv_sec - begun.tv_sec < SEND_S || (now.tv_sec - begun.tv_sec == SEND_S && now.tv_nsec < begun.tv_nsec));
    close(fd);
    return REACHED;
#endif
}
