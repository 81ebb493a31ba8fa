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

/* wasi:sockets of version 0.2, by the canonical ABI of components written out. */

#define FROM(interface, name) __attribute__((import_module(interface "@0.2.0"), import_name(name)))
#define SOCKETS "wasi:sockets/"

FROM(SOCKETS "instance-network", "instance-network") int32_t instance_network(void);
FROM(SOCKETS "ip-name-lookup", "resolve-addresses") void resolve_addresses(int32_t network, const char *name, size_t length, void *result);
FROM(SOCKETS "ip-name-lookup", "[method]resolve-address-stream.resolve-next-address") void resolve_next_address(int32_t stream, void *result);
FROM(SOCKETS "ip-name-lookup", "[method]resolve-address-stream.subscribe") int32_t lookup_subscribe(int32_t stream);
FROM(SOCKETS "ip-name-lookup", "[resource-drop]resolve-address-stream") void drop_lookup(int32_t stream);
FROM(SOCKETS "tcp-create-socket", "create-tcp-socket") void create_tcp_socket(int32_t family, void *result);
/* The address is a variant: IPv4 has its port and four bytes, in the place of which IPv6 has eleven numbers. */
FROM(SOCKETS "tcp", "[method]tcp-socket.start-connect")
void start_connect(int32_t socket, int32_t network, int32_t kind, int32_t port, int32_t a, int32_t b, int32_t c, int32_t d, int32_t,
                   int32_t, int32_t, int32_t, int32_t, int32_t, void *result);
FROM(SOCKETS "tcp", "[method]tcp-socket.finish-connect") void finish_connect(int32_t socket, void *result);
FROM(SOCKETS "tcp", "[method]tcp-socket.subscribe") int32_t socket_subscribe(int32_t socket);
FROM(SOCKETS "tcp", "[resource-drop]tcp-socket") void drop_socket(int32_t socket);
FROM("wasi:io/poll", "[method]pollable.block") void pollable_block(int32_t pollable);
FROM("wasi:io/poll", "[resource-drop]pollable") void drop_pollable(int32_t pollable);
FROM("wasi:io/streams", "[method]output-stream.blocking-write-and-flush")
void blocking_write_and_flush(int32_t stream, const void *bytes, size_t length, void *result);
FROM("wasi:io/streams", "[method]input-stream.blocking-read") void blocking_read(int32_t stream, uint64_t length, void *result);
FROM("wasi:io/streams", "[resource-drop]input-stream") void drop_input(int32_t stream);
FROM("wasi:io/streams", "[resource-drop]output-stream") void drop_output(int32_t stream);

/* Where lists that are returned are put. */
__attribute__((export_name("cabi_realloc"))) void *cabi_realloc(void *old, size_t old_size, size_t align, size_t size)
{
    (void)old_size;
    (void)align; /* of no more than malloc's */
    return size == 0 ? (void *)align : realloc(old, size);
}

struct connection {
    int32_t socket, input, output;
    const char *wrong;
};

enum { IPV4 = 0, WOULD_BLOCK = 8 };

static void wait_for(int32_t pollable)
{
    pollable_block(pollable);
    drop_pollable(pollable);
}

/* result<option<ip-address>, error-code>: a byte each says which, IPv4 follows as four bytes. */
struct looked_up {
    uint8_t failed, error_or_pad, is_some, pad, kind, pad2, address[16];
};

static bool look_up(int32_t network, const char *name, uint8_t address[4], const char **wrong)
{
    struct { uint8_t failed, pad[3]; int32_t stream; } begun;
    struct looked_up found;
    bool known = false;
    resolve_addresses(network, name, strlen(name), &begun);
    *wrong = "its name is not known, or not granted";
    if (begun.failed)
        return false;
    for (;;) {
        resolve_next_address(begun.stream, &found);
        if (found.failed && found.is_some == WOULD_BLOCK) {
            wait_for(lookup_subscribe(begun.stream));
            continue;
        }
        if (found.failed || !found.is_some)
            break;
        if (found.kind == IPV4) {
            memcpy(address, found.address, 4);
            known = true;
            break;
        }
    }
    drop_lookup(begun.stream);
    return known;
}

static bool connect_to(struct connection *to, const char *host, int port)
{
    struct { uint8_t failed, pad[3]; int32_t socket; } made;
    struct { uint8_t failed, error; } begun;
    struct { uint8_t failed, pad[3]; union { uint8_t error; int32_t input; }; int32_t output; } connected;
    int32_t network = instance_network();
    uint8_t at[4];
    if (!look_up(network, host, at, &to->wrong))
        return false;
    to->wrong = "no socket is offered";
    create_tcp_socket(IPV4, &made);
    if (made.failed)
        return false;
    to->socket = made.socket;
    to->wrong = "it cannot be connected to, or is not granted";
    start_connect(to->socket, network, IPV4, port, at[0], at[1], at[2], at[3], 0, 0, 0, 0, 0, 0, &begun);
    if (begun.failed)
        return false;
    for (;;) {
        finish_connect(to->socket, &connected);
        if (!connected.failed)
            break;
        if (connected.error != WOULD_BLOCK)
            return false;
        wait_for(socket_subscribe(to->socket));
    }
    to->input = connected.input;
    to->output = connected.output;
    return true;
}

static bool send_all(struct connection *to, const char *bytes, size_t length)
{
    struct { uint8_t failed, pad[3]; uint8_t error, pad2[3]; int32_t why; } sent;
    to->wrong = "it does not take the request";
    blocking_write_and_flush(to->output, bytes, length, &sent);
    return !sent.failed;
}

static size_t receive(struct connection *from, char *bytes, size_t length)
{
    struct { uint8_t failed, pad[3]; void *bytes; size_t length; } received;
    blocking_read(from->input, length, &received);
    if (received.failed)
        return 0;
    memcpy(bytes, received.bytes, received.length);
    free(received.bytes);
    return received.length;
}

static void disconnect(struct connection *connection)
{
    drop_input(connection->input);
    drop_output(connection->output);
    drop_socket(connection->socket);
}

#else

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

struct connection {
    int socket;
    const char *wrong;
};

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
    to->wrong = strerror(errno);
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
        to->wrong = gai_strerror(failed);
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
            to->wrong = strerror(errno);
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
        fprintf(stderr, "%s:%d: %s\n", host, port, connection.wrong);
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
