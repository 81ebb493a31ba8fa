/* demo/fetch: gets a kilobyte from a key-value server at the host's end of its network and says what it got.
 *
 * Arguments: host and port, host.internal and 6379 unless they are given. Natively over sockets; in a Faaslet over wasi:sockets, as a
 * component that is granted the host and the port. It speaks the protocol of Redis, and any server of that which has the key
 * `kilobyte` with so many bytes will do. Ends with 0 if it got 1024 bytes, else with 1. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef __wasm__

#include "wasi-sockets.h"

/* Why there was none. */
static const char *wrong;

static bool connect_to(struct connection *to, const char *host, int port)
{
    uint8_t address[4];
    int error = look_up(host, address);
    if (error != NO_ERROR) {
        wrong = error == ACCESS_DENIED ? "its name is not granted" : "its name has no address";
        return false;
    }
    error = connect_socket(to, address, port);
    switch (error) {
    case NO_ERROR: return true;
    case ACCESS_DENIED: wrong = "no socket is offered"; return false;
    case REMOTE_UNREACHABLE: wrong = "it is not granted"; return false;
    case CONNECTION_REFUSED: wrong = "nothing listens there, or its port is not granted"; return false;
    default: wrong = "it cannot be connected to"; return false;
    }
}

static bool send_all(struct connection *to, const char *bytes, size_t length)
{
    wrong = "it does not take the request";
    return send_bytes(to, bytes, length);
}

static size_t receive(struct connection *from, char *bytes, size_t length)
{
    return receive_bytes(from, bytes, length);
}

static void disconnect(struct connection *connection)
{
    close_connection(connection);
}

#else

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

struct connection {
    int socket;
};

/* Why there was none. */
static const char *wrong;

/* The gateway of the default route, in network order; 0 if there is none. In a container it is the host's end. */
static uint32_t gateway(void)
{
    char line[256];
    unsigned destination, found, by = 0;
    FILE *routes = fopen("/proc/net/route", "r");
    if (routes == NULL)
        return 0;
    while (by == 0 && fgets(line, sizeof line, routes) != NULL)
        if (sscanf(line, "%*s %x %x", &destination, &found) == 2 && destination == 0)
            by = found;
    fclose(routes);
    return by;
}

static bool connect_at(struct connection *to, uint32_t address, int port)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = address};
    to->socket = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (to->socket >= 0 && connect(to->socket, (struct sockaddr *)&at, sizeof at) == 0)
        return true;
    wrong = strerror(errno);
    if (to->socket >= 0)
        close(to->socket);
    return false;
}

static bool connect_to(struct connection *to, const char *host, int port)
{
    struct addrinfo *found, wanted = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM};
    if (strcmp(host, "host.internal") == 0) {
        /* The loopback of whoever has one with the host, else what lies beyond the way out. */
        uint32_t beyond;
        return connect_at(to, htonl(INADDR_LOOPBACK), port) || ((beyond = gateway()) != 0 && connect_at(to, beyond, port));
    }
    int failed = getaddrinfo(host, NULL, &wanted, &found);
    if (failed != 0) {
        wrong = gai_strerror(failed);
        return false;
    }
    bool connected = connect_at(to, ((struct sockaddr_in *)found->ai_addr)->sin_addr.s_addr, port);
    freeaddrinfo(found);
    return connected;
}

static bool send_all(struct connection *to, const char *bytes, size_t length)
{
    while (length > 0) {
        ssize_t sent = send(to->socket, bytes, length, MSG_NOSIGNAL);
        if (sent < 0) {
            wrong = strerror(errno);
            return false;
        }
        bytes += sent;
        length -= sent;
    }
    return true;
}

static size_t receive(struct connection *from, char *bytes, size_t length)
{
    ssize_t received = recv(from->socket, bytes, length, 0);
    return received > 0 ? received : 0;
}

static void disconnect(struct connection *connection)
{
    close(connection->socket);
}

#endif

static const char request[] = "*2\r\n$3\r\nGET\r\n$8\r\nkilobyte\r\n";
static const char head[] = "$1024\r\n";
enum { VALUE_BYTES = 1024, HEAD_BYTES = sizeof head - 1, ANSWER_BYTES = HEAD_BYTES + VALUE_BYTES + 2 };

int main(int argc, char **argv)
{
    const char *host = argc > 1 ? argv[1] : "host.internal";
    int port = argc > 2 ? atoi(argv[2]) : 6379;
    char answer[ANSWER_BYTES];
    struct connection connection;
    size_t got = 0;
    unsigned sum = 0;

    if (!connect_to(&connection, host, port) || !send_all(&connection, request, sizeof request - 1)) {
        fprintf(stderr, "%s:%d: %s\n", host, port, wrong);
        return 1;
    }
    while (got < sizeof answer) {
        size_t more = receive(&connection, answer + got, sizeof answer - got);
        if (more == 0)
            break;
        got += more;
    }
    disconnect(&connection);
    if (got < sizeof answer || memcmp(answer, head, HEAD_BYTES) != 0) {
        fprintf(stderr, "%s:%d: no kilobyte, but %zu bytes that begin %.8s\n", host, port, got, got >= 8 ? answer : "");
        return 1;
    }
    for (size_t i = 0; i < VALUE_BYTES; i++)
        sum = sum * 31 + (unsigned char)answer[HEAD_BYTES + i];
    printf("%d bytes, %08x\n", VALUE_BYTES, sum);
    return 0;
}
