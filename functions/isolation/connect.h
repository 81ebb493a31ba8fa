/* Reaching a listener of the host. */
#ifndef CONNECT_H
#define CONNECT_H

#include "probe.h"

#ifdef GRANTED
/* What an error of wasi:sockets says of the way in which something was contained. */
static inline int by_socket_error(int error)
{
    switch (error) {
    case ACCESS_DENIED:
        return NOT_OFFERED;
    case CONNECTION_REFUSED: case REMOTE_UNREACHABLE: case TIMEOUT: case CONNECTION_RESET:
        return UNREACHABLE;
    case NEW_SOCKET_LIMIT:
        return LIMITED;
    default:
        return REFUSED;
    }
}

/* Whether the listener at `address` and the parameter `port` is reached: it is told the token, and its answer says that it is ours. */
static inline int connect_to(const uint8_t address[4])
{
    struct connection connection;
    char answer[5];
    const char *token = parameter("token");
    int error = connect_socket(&connection, address, number("port")), outcome = UNREACHABLE;
    if (error != NO_ERROR)
        return by_socket_error(error);
    if (send_bytes(&connection, token, strlen(token)) && receive_bytes(&connection, answer, sizeof answer) == sizeof answer)
        outcome = memcmp(answer, "hello", sizeof answer) == 0 ? REACHED : OTHER;
    close_connection(&connection);
    return outcome;
}

/* As `connect_to`, of the first that answers: what a Faaslet knows as its host, then the addresses of the host in the parameter `addresses`. */
static inline int connect_to_host(void)
{
    uint8_t at[4];
    int outcome = CANNOT_TRY;
    if (look_up("host.internal", at) == NO_ERROR && (outcome = connect_to(at)) == REACHED)
        return REACHED;
    for (const char *next = parameter("addresses"); sscanf(next, "%hhu.%hhu.%hhu.%hhu", &at[0], &at[1], &at[2], &at[3]) == 4; next++) {
        if ((outcome = connect_to(at)) == REACHED)
            return REACHED;
        if ((next = strchr(next, ',')) == NULL)
            break;
    }
    return outcome;
}
#endif

#ifndef __wasm__
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>

#define CONNECT_MS 500

/* A socket that is connected to `address` (network order) at the parameter `port` within so many milliseconds; else -1 and errno. */
static inline int connected(uint32_t address, int milliseconds)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)number("port")), .sin_addr.s_addr = address};
    struct timeval wait = {1, 0};
    int error = 0, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    socklen_t length = sizeof error;
    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    if (connect(fd, (struct sockaddr *)&to, sizeof to) != 0) {
        struct pollfd poll_fd = {fd, POLLOUT, 0};
        if (errno != EINPROGRESS || poll(&poll_fd, 1, milliseconds) != 1)
            error = errno == EINPROGRESS ? ETIMEDOUT : errno;
        else
            getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length);
    }
    fcntl(fd, F_SETFL, 0);
    if (error == 0)
        return fd;
    close(fd);
    errno = error;
    return -1;
}

/* Says the token; the listener says by its answer that it is ours. */
static inline int is_ours(int fd)
{
    char answer[8] = {0};
    const char *token = parameter("token");
    if (send(fd, token, strlen(token), MSG_NOSIGNAL) < 0 || recv(fd, answer, 5, MSG_WAITALL) != 5)
        return by_errno(ECONNREFUSED);
    return memcmp(answer, "hello", 5) == 0 ? REACHED : OTHER;
}

/* Whether the listener at `address` is reached; if so and `kept` is given, the connection stays there. */
static inline int connect_to(uint32_t address, int *kept)
{
    int fd = connected(address, CONNECT_MS);
    if (fd < 0)
        return by_errno(errno);
    int outcome = is_ours(fd);
    if (kept != NULL && outcome == REACHED)
        *kept = fd;
    else
        close(fd);
    return outcome;
}

/* The gateway of the default route, in network order; 0 if there is none. */
static inline uint32_t gateway(void)
{
    char line[256];
    unsigned destination, found = 0;
    FILE *routes = fopen("/proc/net/route", "r");
    if (routes == NULL)
        return 0;
    while (fgets(line, sizeof line, routes) != NULL)
        if (sscanf(line, "%*s %x %x", &destination, &found) == 2 && destination == 0 && found != 0)
            break;
        else
            found = 0;
    fclose(routes);
    return found;
}

/* As `connect_to`, of the first that answers: the gateway, then the addresses of the host in the parameter `addresses`. */
static inline int connect_to_host(int *kept)
{
    static char addresses[512];
    int outcome = CANNOT_TRY;
    uint32_t beyond = gateway();
    if (beyond != 0 && (outcome = connect_to(beyond, kept)) == REACHED)
        return REACHED;
    strncpy(addresses, parameter("addresses"), sizeof addresses - 1);
    for (char *next = strtok(addresses, ","); next != NULL; next = strtok(NULL, ","))
        if ((outcome = connect_to(inet_addr(next), kept)) == REACHED)
            return REACHED;
    return outcome;
}
#endif

#endif
