/* Reaching a listener of the host. */
#ifndef CONNECT_H
#define CONNECT_H

#include "probe.h"

#ifndef __wasm__
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>

#define CONNECT_MS 500

/* Connects to `address` (network order) and sends the token; the listener says by its answer that it is ours. */
static inline int connect_to(uint32_t address)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)number("port")), .sin_addr.s_addr = address};
    struct timeval wait = {1, 0};
    char answer[8] = {0};
    int error = 0, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    socklen_t length = sizeof error;
    if (fd < 0)
        return by_errno(errno);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    if (connect(fd, (struct sockaddr *)&to, sizeof to) != 0) {
        struct pollfd poll_fd = {fd, POLLOUT, 0};
        if (errno != EINPROGRESS || poll(&poll_fd, 1, CONNECT_MS) != 1)
            error = errno == EINPROGRESS ? ETIMEDOUT : errno;
        else
            getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length);
    }
    if (error == 0) {
        fcntl(fd, F_SETFL, 0);
        const char *token = parameter("token");
        if (send(fd, token, strlen(token), MSG_NOSIGNAL) < 0 || recv(fd, answer, 5, MSG_WAITALL) != 5)
            error = ECONNREFUSED;
    }
    close(fd);
    if (error != 0)
        return by_errno(error);
    return memcmp(answer, "hello", 5) == 0 ? REACHED : OTHER;
}
#endif

#endif
