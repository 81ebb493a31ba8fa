/* Connecting by wasi:sockets 0.2, whose calls are here by hand, as the canonical ABI of components has them: nothing generates bindings for
 * C on a stock Debian. functions/sockets.wit has the types; what is linked with this becomes a component by tools/wasm-component. */
#ifndef WASI_SOCKETS_H
#define WASI_SOCKETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* `error-code` of wasi:sockets/network, as far as somebody asks for it, and that there is none. */
enum socket_error {
    NO_ERROR = -1,
    ACCESS_DENIED = 1,
    TIMEOUT = 5,
    WOULD_BLOCK = 8,
    NEW_SOCKET_LIMIT = 10,
    REMOTE_UNREACHABLE = 13,
    CONNECTION_REFUSED = 14,
    CONNECTION_RESET = 15,
    NAME_UNRESOLVABLE = 18,
};

enum { IPV4 = 0 };

#define FROM(interface, name) __attribute__((import_module(interface), import_name(name)))
#define TCP "wasi:sockets/tcp@0.2.0"
#define LOOKUP "wasi:sockets/ip-name-lookup@0.2.0"
#define STREAMS "wasi:io/streams@0.2.0"
#define POLL "wasi:io/poll@0.2.0"

FROM("wasi:sockets/instance-network@0.2.0", "instance-network") int32_t instance_network(void);
FROM(LOOKUP, "resolve-addresses") void resolve_addresses(int32_t network, const char *name, size_t length, void *result);
FROM(LOOKUP, "[method]resolve-address-stream.resolve-next-address") void resolve_next_address(int32_t stream, void *result);
FROM(LOOKUP, "[method]resolve-address-stream.subscribe") int32_t lookup_subscribe(int32_t stream);
FROM(LOOKUP, "[resource-drop]resolve-address-stream") void drop_lookup(int32_t stream);
FROM("wasi:sockets/tcp-create-socket@0.2.0", "create-tcp-socket") void create_tcp_socket(int32_t family, void *result);
/* The address is a variant: IPv4 has its port and four bytes, in the place of which IPv6 has eleven numbers. */
FROM(TCP, "[method]tcp-socket.start-connect")
void start_connect(int32_t socket, int32_t network, int32_t kind, int32_t port, int32_t a, int32_t b, int32_t c, int32_t d, int32_t,
                   int32_t, int32_t, int32_t, int32_t, int32_t, void *result);
FROM(TCP, "[method]tcp-socket.finish-connect") void finish_connect(int32_t socket, void *result);
FROM(TCP, "[method]tcp-socket.local-address") void socket_local_address(int32_t socket, void *result);
FROM(TCP, "[method]tcp-socket.subscribe") int32_t socket_subscribe(int32_t socket);
FROM(TCP, "[resource-drop]tcp-socket") void drop_socket(int32_t socket);
FROM(POLL, "[method]pollable.block") void pollable_block(int32_t pollable);
FROM(POLL, "[resource-drop]pollable") void drop_pollable(int32_t pollable);
FROM(STREAMS, "[method]output-stream.blocking-write-and-flush")
void blocking_write_and_flush(int32_t stream, const void *bytes, size_t length, void *result);
FROM(STREAMS, "[method]input-stream.blocking-read") void blocking_read(int32_t stream, uint64_t length, void *result);
FROM(STREAMS, "[resource-drop]input-stream") void drop_input(int32_t stream);
FROM(STREAMS, "[resource-drop]output-stream") void drop_output(int32_t stream);

/* Where lists that are returned are put. */
__attribute__((export_name("cabi_realloc"))) void *cabi_realloc(void *old, size_t old_size, size_t align, size_t size)
{
    (void)old_size; /* align is malloc's at most */
    return size == 0 ? (void *)align : realloc(old, size);
}

struct connection {
    int32_t socket, input, output;
};

static inline int32_t network(void)
{
    static int32_t handle; /* none is 0 */
    return handle == 0 ? (handle = instance_network()) : handle;
}

static inline void wait_for(int32_t pollable)
{
    pollable_block(pollable);
    drop_pollable(pollable);
}

/* The first IPv4 address of `name`; a name that is not granted has none. */
static inline int look_up(const char *name, uint8_t address[4])
{
    struct { uint8_t failed, pad[3]; union { uint8_t error; int32_t stream; }; } begun;
    /* result<option<ip-address>, error-code>: a byte each says which. */
    struct { uint8_t failed, pad, error_or_is_some, pad2, kind, pad3, address[16]; } found;
    int error = NAME_UNRESOLVABLE;
    resolve_addresses(network(), name, strlen(name), &begun);
    if (begun.failed)
        return begun.error;
    for (;;) {
        resolve_next_address(begun.stream, &found);
        if (found.failed && found.error_or_is_some == WOULD_BLOCK) {
            wait_for(lookup_subscribe(begun.stream));
            continue;
        }
        if (found.failed)
            error = found.error_or_is_some;
        if (found.failed || !found.error_or_is_some)
            break;
        if (found.kind == IPV4) {
            memcpy(address, found.address, 4);
            error = NO_ERROR;
            break;
        }
    }
    drop_lookup(begun.stream);
    return error;
}

static inline int connect_socket(struct connection *to, const uint8_t at[4], int port)
{
    struct { uint8_t failed, pad[3]; union { uint8_t error; int32_t socket; }; } made;
    struct { uint8_t failed, error; } begun;
    struct { uint8_t failed, pad[3]; union { uint8_t error; int32_t input; }; int32_t output; } connected;
    create_tcp_socket(IPV4, &made);
    if (made.failed)
        return made.error;
    to->socket = made.socket;
    start_connect(to->socket, network(), IPV4, port, at[0], at[1], at[2], at[3], 0, 0, 0, 0, 0, 0, &begun);
    if (begun.failed) {
        drop_socket(to->socket);
        return begun.error;
    }
    for (;;) {
        finish_connect(to->socket, &connected);
        if (!connected.failed)
            break;
        if (connected.error != WOULD_BLOCK) {
            drop_socket(to->socket);
            return connected.error;
        }
        wait_for(socket_subscribe(to->socket));
    }
    to->input = connected.input;
    to->output = connected.output;
    return NO_ERROR;
}

/* The address from which a connection goes. */
static inline bool local_address(const struct connection *of, uint8_t address[4])
{
    struct { uint8_t failed, pad[3]; uint8_t kind_or_error, pad2[3]; uint16_t port; uint8_t address[30]; } found;
    socket_local_address(of->socket, &found);
    memcpy(address, found.address, 4);
    return !found.failed && found.kind_or_error == IPV4;
}

/* 4096 bytes at most. */
static inline bool send_bytes(const struct connection *to, const void *bytes, size_t length)
{
    struct { uint8_t failed, pad[3]; uint8_t error, pad2[3]; int32_t why; } sent;
    blocking_write_and_flush(to->output, bytes, length, &sent);
    return !sent.failed;
}

/* How many bytes came, `length` at most; 0 at the end. */
static inline size_t receive_bytes(const struct connection *from, void *bytes, size_t length)
{
    struct { uint8_t failed, pad[3]; void *bytes; size_t length; } received;
    blocking_read(from->input, length, &received);
    if (received.failed)
        return 0;
    memcpy(bytes, received.bytes, received.length);
    free(received.bytes);
    return received.length;
}

static inline void close_connection(const struct connection *connection)
{
    drop_input(connection->input);
    drop_output(connection->output);
    drop_socket(connection->socket);
}

#endif
